"""The template language of `--format`, against what Go's text/template gives for the same."""

from __future__ import annotations

import pytest

from lamina.cli.template import Template
from lamina.cli.template.evaluate import lenient
from lamina.errors import InvalidInput

VALUE = {
    "Id": "abc",
    "State": {"Status": "running", "ExitCode": 0, "Running": True},
    "List": ["a", "b"],
    "Map": {"k": "v", "a": 1},
    "Ports": {"80/tcp": [{"HostPort": "8080"}]},
    "None": None,
    "Html": "<a & b>",
    "Number": 1500000,
    "Fraction": 1.5,
}

RENDERED = [
    ("plain", "plain"),
    ("{{.Id}} {{.ID}}", "abc abc"),
    ("{{ .State.Status }}", "running"),
    ("{{json .State}}", '{"Status":"running","ExitCode":0,"Running":true}'),
    ("{{json .Html}}", '"<a & b>"'),
    ("{{json .}}", None),
    ("{{.List}} {{.Map}} {{.State.Running}} {{.Number}} {{.Fraction}}", "[a b] map[a:1 k:v] true 1500000 1.5"),
    ("{{.None}}", "<nil>"),
    ("{{range .List}}<{{.}}>{{end}}", "<a><b>"),
    ("{{range $i, $v := .List}}{{$i}}={{$v}} {{end}}", "0=a 1=b "),
    ("{{range $v := .List}}{{$v}}{{end}}", "ab"),
    ("{{range $k, $v := .Map}}{{$k}}:{{$v}},{{end}}", "a:1,k:v,"),
    ("{{range .None}}x{{else}}empty{{end}}", "empty"),
    ("{{range .List}}{{.}}{{break}}{{end}}", "a"),
    ('{{range .List}}{{if eq . "a"}}{{continue}}{{end}}{{.}}{{end}}', "b"),
    ("{{range $p, $c := .Ports}}{{$p}} -> {{(index $c 0).HostPort}}{{end}}", "80/tcp -> 8080"),
    ('{{(index .Ports "80/tcp" 0).HostPort}}', "8080"),
    ('{{with index .Ports "80/tcp"}}{{len .}}{{end}}', "1"),
    ("{{with .None}}x{{else with .Id}}{{.}}{{else}}z{{end}}", "abc"),
    ('{{if eq .State.Status "running"}}up{{else if true}}z{{else}}no{{end}}', "up"),
    ("{{if .None}}x{{else if .Id}}y{{end}}", "y"),
    ("{{if and .Id (not .None)}}both{{end}} {{or .None .Id}}", "both abc"),
    (
        '{{eq .Id "x" "abc"}} {{ne .Id "x"}} {{lt 1 2}} {{le 2 2}} {{gt "b" "a"}} {{ge 1 2}}',
        "true true true true true false",
    ),
    ('{{.Id | upper | printf "%5s|"}}', "  ABC|"),
    ('{{join .List ", "}} {{len .List}} {{title "go on"}} {{lower "ABC"}}', "a, b 2 Go On abc"),
    ('{{split "a:b:c" ":"}} {{println "x" 1}}', "[a b c] x 1\n"),
    ('{{truncate .Id 2}}[{{pad .Id 1 2}}]{{pad "" 1 1}}', "ab[ abc  ]"),
    ("{{slice .Id 1}} {{slice .Id 0 1}} {{index .List 1}} {{index .Id 1}}", "bc a b 98"),
    (
        '{{printf "%d %q %v %5.2f%% %-4s| %04d %x %t" 7 .Id .List 1.5 "x" 42 255 true}}',
        '7 "abc" [a b]  1.50% x   | 0042 ff true',
    ),
    ('{{printf "%s %d" "a"}} {{printf "a" 1}}', "a %!d(MISSING) a%!(EXTRA int=1)"),
    ('{{print "a" 1 2 "b"}} {{html .Html}} {{urlquery "a b"}}', "a1 2b &lt;a &amp; b&gt; a+b"),
    ("{{$x := .Id}}{{$x}}{{$.Id}}", "abcabc"),
    ("{{$x := 1}}{{range .List}}{{$x = .}}{{end}}{{$x}}", "b"),
    ('a  {{- " x " -}}  b {{/* note */}}d', "a x b d"),
    ("{{- .Id -}}\n", "abc"),
    ("{{/* gone */ -}}\n x", "x"),
    ('{{"}}"}} {{`raw "quotes"`}} {{\'a\'}} {{0x10}} {{-3}} {{1.5}}', '}} raw "quotes" 97 16 -3 1.5'),
    ("{{range 3}}{{.}}{{end}}", "012"),
    ("{{len (index .List 0)}} {{(len .List)}}", "1 2"),
]

WRONG = [
    "{{.Foo}}", "{{.Id.Foo}}", "{{.None.Foo}}", "{{end}}", "{{else}}", "{{if .Id}}", "{{if}}x{{end}}", "{{.Id", "{{|}}",
    "{{nope .Id}}", "{{index .List 5}}", "{{join .Id}}", "{{$x}}", "{{(.Id}}", "{{.Id)}}",
    "{{template \"x\"}}", "{{define \"x\"}}{{end}}", "{{eq 1 \"a\"}}", "{{lt .List .List}}", "{{break}}", "{{@}}",
    "{{range .Id}}{{end}}", "{{slice .Id 9}}", "{{len 3}}", "{{\"\\q\"}}", "{{1 2}}", "{{upper 3}}", "{{$x = 1}}",
]  # fmt: skip


@pytest.mark.parametrize(("template", "text"), RENDERED)
def test_renders_as_go_does(template: str, text: str | None) -> None:
    got = Template.parse(template).render(VALUE)
    assert text is None or got == text


@pytest.mark.parametrize("template", WRONG)
def test_what_is_wrong_is_said(template: str) -> None:
    with pytest.raises(InvalidInput, match="template"):
        Template.parse(template).render(VALUE)


def test_missing_keys_can_be_forgiven() -> None:
    assert Template.parse("{{if .Foo}}x{{end}}{{.Bar}}").render(VALUE, lenient) == "<nil>"
