"""Print the script that completes convlab's command lines with TAB.

usage: convlab completion bash|zsh|fish

Once in a shell, or in its start-up file (~/.bashrc, ~/.zshrc after compinit, ~/.config/fish/config.fish):

  bash   eval "$(convlab completion bash)"
  zsh    eval "$(convlab completion zsh)"
  fish   convlab completion fish | source

Then TAB offers verbs, each verb's options, experiments and the other choices in conf/ (experiment=le), the
settings of a group (optimizer.), runs (evaluate, compare, promote, predict --model) and champions. Where a
file may stand, it offers files.

  for LINE   what the scripts ask: the words that may end LINE, a line each, with a description where
             there is one

example
  convlab completion bash > ~/.local/share/bash-completion/completions/convlab
"""

from pathlib import Path

from convlab.base.errors import ConvlabError
from convlab.cli.completion.proposals import SHELLS, proposals

SCRIPTS = Path(__file__).parents[1] / "completion"


def run(args: list[str]) -> int:
    """Print one shell's script, or proposals."""
    match args:
        case [shell] if shell in SHELLS:
            print((SCRIPTS / f"convlab.{shell}").read_text(), end="")
        case ["for", line]:
            from convlab.cli.main import VERBS

            for word, description in proposals(line, VERBS):
                print(f"{word}\t{description}" if description else word)
        case _:
            raise ConvlabError(f"which shell? One of {', '.join(SHELLS)}: convlab completion bash")
    return 0
