"""What is said: template files, frozen once per launch, then filled for each contact."""
