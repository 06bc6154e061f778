"""``python -m course_lib.grading release|check|grade``, behind ``make release`` and so on."""

import argparse
import sys

from course_lib.grading import commands


def main(arguments=None):
    """Run one command and return its exit status: 1 when it did not succeed."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.grading")
    subparsers = parser.add_subparsers(required=True)
    for name, argument in [("release", "assignment"), ("check", "work"), ("grade", "assignment")]:
        command = getattr(commands, name)
        summary = command.__doc__.split("\n")[0]
        subparser = subparsers.add_parser(name, help=summary, description=summary)
        subparser.add_argument("what", metavar=argument)
        subparser.set_defaults(command=command)
    chosen = parser.parse_args(arguments)
    try:
        chosen.command(chosen.what)
    except commands.CommandError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
