"""The command as a process of its own, without paying for its imports each time: one process has them, and forks.

python -m tests.forked reads {"argv", "env", "cwd"} by the line and answers {"code", "out", "err"}. What a user types
(`python -m cli`) is run as it is in one test; the others are about what it says.
"""

import json
import os
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def run(*arguments: str, cwd: Path = ROOT, **environment: str) -> Done:
    """`passaparola …` in the environment of now."""
    child = _waiting()
    assert child.stdin is not None
    assert child.stdout is not None
    asked = {"argv": ["passaparola", *arguments], "env": {**os.environ, **environment}, "cwd": str(cwd)}
    child.stdin.write(json.dumps(asked) + "\n")
    child.stdin.flush()
    found = json.loads(child.stdout.readline())
    return Done(found["code"], found["out"], found["err"])


@cache
def _waiting() -> "subprocess.Popen[str]":
    """Ends with this process, when its standard input closes."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.forked"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def main() -> None:
    from passaparola.cli import main

    for module in (
        "passaparola.cli.campaigns",
        "passaparola.cli.inbox",
        "passaparola.cli.contacts",
        "passaparola.cli.inbound",
        "passaparola.rehearsal",
        "passaparola.engine",
        "passaparola.operations.polling",
        "mjml",
    ):
        __import__(module)
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        asked = json.loads(line)
        with tempfile.TemporaryFile("w+b") as out, tempfile.TemporaryFile("w+b") as err:
            child = os.fork()
            if child == 0:
                _be_the_command(main.main, asked, out, err)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            said = {"code": code, "out": _read(out), "err": _read(err)}
        answers.write(json.dumps(said) + "\n")
        answers.flush()


def _be_the_command(command: Any, asked: dict[str, Any], out: IO[bytes], err: IO[bytes]) -> None:
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        os.environ.clear()
        os.environ.update(asked["env"])
        os.chdir(asked["cwd"])
        sys.argv = asked["argv"]
        command()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


if __name__ == "__main__":
    main()
