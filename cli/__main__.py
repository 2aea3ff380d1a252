"""`laurel`: the operator's command, as a list of its parts."""

import sys

import typer

from cli import customer, dead, demo, lag, load, parked, rebuild, recover, stack, topics
from cli.problems import CommandError
from cli.verify.command import verify
from deploy.local.problems import StackError
from shared.runtime.settings import SettingsError

app = typer.Typer(
    name="laurel",
    help="Run and look after Laurel, the event-driven loyalty platform.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(stack.app)
for command in (demo.demo, load.load, customer.customer, topics.topics, lag.lag, verify):
    app.command()(command)
app.add_typer(dead.app, name="dead")
app.add_typer(parked.app)
app.add_typer(rebuild.app, name="rebuild")
app.add_typer(recover.app)


def main() -> None:
    """Run the command; what the operator can mend is one sentence on stderr, and code 1."""
    try:
        app(prog_name="laurel")
    except (CommandError, SettingsError, StackError) as error:
        sys.exit(f"laurel: {error}")


if __name__ == "__main__":
    main()
