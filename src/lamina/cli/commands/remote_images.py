"""`lamina pull`, `push`, `login`, `logout` and `search`."""

from __future__ import annotations

import sys

from lamina.cli.arguments import filter_option, filters, format_option, switch
from lamina.cli.credentials import credentials_for
from lamina.cli.parsing.declare import argument, command, integer, option
from lamina.cli.session import Session
from lamina.cli.table import Column, ellipsis, print_rows
from lamina.client.references import split_name
from lamina.credentials import CredentialFile, Credentials, registry_key
from lamina.errors import InvalidInput
from lamina.progress import Report, ignore


def _chosen_tag(tag: str, all_tags: bool, quiet: bool) -> str:
    """Return the tag to pull or push; "" means all tags. Raise InvalidInput for a tag together with --all-tags."""
    if all_tags and tag:
        raise InvalidInput("a tag can't be used with --all-tags")
    if all_tags or tag:
        return tag
    if not quiet:
        print("Using default tag: latest")
    return "latest"


def _report(quiet: bool) -> Report:
    from lamina.cli.progress import Display

    return ignore if quiet else Display()


@command("""
    lamina pull alpine
    lamina pull --platform linux/arm64 registry.example.com/team/app:1.0
""")
@argument("reference", metavar="NAME[:TAG|@DIGEST]")
@switch("-a", "--all-tags", help="Download every tag of the name")
@switch("--all-platforms", help="Download the images for other platforms too, each named by its digest")
@switch("--disable-content-trust", hidden=True, help="Accepted for Docker's sake")
@option("--platform", default=None, envvar="DOCKER_DEFAULT_PLATFORM", help="Platform, such as linux/arm64")
@switch("-q", "--quiet", help="Only print the image's name")
def pull(
    session: Session,
    reference: str,
    all_tags: bool,
    all_platforms: bool,
    disable_content_trust: bool,
    platform: str | None,
    quiet: bool,
) -> None:
    """Download an image from a registry."""
    from lamina.formats.reference import Reference

    repository, tag = split_name(reference)
    name = Reference.parse(reference)
    tag = _chosen_tag(tag, all_tags, quiet)
    session.client.registries.pull(
        reference,
        platform=platform or "",
        all_tags=all_tags,
        all_platforms=all_platforms,
        credentials=credentials_for(session.settings.config, repository),
        report=_report(quiet),
    )
    named = name.name if all_tags else f"{name.name}{'@' if ':' in tag else ':'}{tag}"
    print(named)


@command("lamina push registry.example.com/team/app:1.0")
@argument("reference", metavar="NAME[:TAG]")
@switch("-a", "--all-tags", help="Upload every tag of the name")
@switch("--disable-content-trust", hidden=True, help="Accepted for Docker's sake")
@option("--platform", default=None, help="Upload only this platform")
@switch("-q", "--quiet", help="Only print the image's name")
def push(
    session: Session, reference: str, all_tags: bool, disable_content_trust: bool, platform: str | None, quiet: bool
) -> None:
    """Upload an image to the registry its name tells."""
    from lamina.formats.reference import Reference

    repository, tag = split_name(reference)
    tag = _chosen_tag(tag, all_tags, quiet)
    session.client.registries.push(
        reference,
        all_tags=all_tags,
        platform=platform or "",
        credentials=credentials_for(session.settings.config, repository),
        report=_report(quiet),
    )
    if quiet:
        print(f"{Reference.parse(repository).name}:{tag}" if tag else Reference.parse(repository).name)


@command("""
    lamina login registry.example.com
    cat token | lamina login -u ada --password-stdin registry.example.com
""")
@argument("server", required=False, default="", metavar="[SERVER]")
@option("-p", "--password", default="", help="Password; better through --password-stdin")
@switch("--password-stdin", help="Take the password from stdin")
@option("-u", "--username", default="", help="User name")
def login(session: Session, server: str, password: str, password_stdin: bool, username: str) -> None:
    """Authenticate to a registry, and keep the credentials."""
    if password and password_stdin:
        raise InvalidInput("--password and --password-stdin contradict each other")
    if password:
        print("WARNING! Using --password via the CLI is insecure. Use --password-stdin.", file=sys.stderr)
    if password_stdin:
        if not username:
            raise InvalidInput("--password-stdin needs --username")
        password = sys.stdin.read().rstrip("\r\n")
        if not password:
            raise InvalidInput("there is no password on stdin")
    username, password = _ask(username, password)
    credentials = session.client.registries.login(server, Credentials(username, password))
    file = CredentialFile(session.settings.config.path)
    if file.store(server, credentials) is None:
        advice = "Configure a credential helper to have it kept better."
        print(f"WARNING! Your password is kept unencrypted in {file.path}. {advice}", file=sys.stderr)
    print("Login Succeeded")


def _ask(username: str, password: str) -> tuple[str, str]:
    if not (username and password) and not sys.stdin.isatty():
        advice = "Use --username and --password-stdin"
        raise InvalidInput("cannot ask for credentials: the input is not a terminal", advice=advice)
    if not username:
        username = input("Username: ").strip()
    if not password:
        from getpass import getpass

        password = getpass("Password: ")
    if not (username and password):
        raise InvalidInput("a user name and a password are needed")
    return username, password


@command("lamina logout registry.example.com")
@argument("server", required=False, default="", metavar="[SERVER]")
def logout(session: Session, server: str) -> None:
    """Forget the credentials of a registry."""
    key = registry_key(server)
    if CredentialFile(session.settings.config.path).erase(server):
        print(f"Removing login credentials for {key}")
    else:
        print(f"Not logged in to {key}")


@command("lamina search --limit 5 --filter is-official=true busybox")
@argument("term")
@filter_option
@format_option
@option("--limit", convert=integer, default=None, help="Most results")
@switch("--no-trunc", help="Don't shorten")
def search(
    session: Session, term: str, filter_: tuple[str, ...], format_: str, limit: int | None, no_trunc: bool
) -> None:
    """Search a registry for images."""
    columns = {
        "Name": Column("NAME", lambda d, trunc: str(d["name"])),
        "Description": Column("DESCRIPTION", lambda d, trunc: _described(d["description"], trunc)),
        "StarCount": Column("STARS", lambda d, trunc: str(d["star_count"])),
        "IsOfficial": Column("OFFICIAL", lambda d, trunc: "[OK]" if d["is_official"] else ""),
    }
    credentials = credentials_for(session.settings.config, term)
    results = session.client.registries.search(
        term, limit=25 if limit is None else limit, filters=filters(filter_), credentials=credentials
    )
    print_rows(results, columns, ("Name", "Description", "StarCount", "IsOfficial"), form=format_, trunc=not no_trunc)


def _described(text: object, trunc: bool) -> str:

    line = str(text or "").replace("\n", " ").replace("\r", " ")
    return ellipsis(line, 45) if trunc else line
