"""The scripts that have a shell ask lamina what to offer: see `completion`."""

from __future__ import annotations

_BASH = """\
_lamina_complete() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("${line#plain,}")
    done < <(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" _LAMINA_COMPLETE=bash_complete "$1")
}
complete -o nosort -F _lamina_complete lamina
"""

_ZSH = """\
#compdef lamina
_lamina() {
    local -a lines offered
    local number word
    lines=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT - 1)) _LAMINA_COMPLETE=zsh_complete lamina)}")
    for ((number = 2; number < $#lines; number += 3)); do
        word=${lines[number]//:/\\\\:}
        [[ ${lines[number + 1]} == _ ]] || word+=":${lines[number + 1]}"
        offered+=("$word")
    done
    _describe -V lamina offered
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _lamina "$@"
else
    compdef _lamina lamina
fi
"""

_FISH = """\
function __lamina_complete
    env COMP_WORDS=(commandline -cp) COMP_CWORD=(commandline -t) _LAMINA_COMPLETE=fish_complete lamina \\
        | string replace -r '^plain,' ''
end
complete --no-files --command lamina --arguments '(__lamina_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
"""The completion script of each shell that has one."""
