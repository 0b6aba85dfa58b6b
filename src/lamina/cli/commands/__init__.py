"""One module for each family of commands; `cli.catalog` names them, and loads the one that is asked for."""
