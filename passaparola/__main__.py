"""`python -m passaparola …` is `passaparola …`."""

from passaparola.cli.main import main

if __name__ == "__main__":
    main()
