"""The registry server, a product of its own: the extra `lamina[registry]` installs what only it needs.

`load(path)` reads a configuration, and `serve` runs it until SIGTERM:

    from lamina.registry import load, serve
    serve(load(Path("registry.toml")), ready=print)
"""

try:
    from lamina.registry.config import Config, load
    from lamina.registry.serve import serve
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("bcrypt", "cryptography", "jwt", "obstore", "psycopg"):
        raise
    reason = f"{error.name} is missing: install the registry with `pip install 'lamina[registry]'`"
    raise ModuleNotFoundError(reason, name=error.name) from None

__all__ = ["Config", "load", "serve"]
