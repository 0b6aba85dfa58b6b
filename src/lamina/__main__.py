"""`python -m lamina`: the command line."""

from lamina.cli.main import main

main()
