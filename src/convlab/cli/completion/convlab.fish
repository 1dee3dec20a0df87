# fish completion of convlab: convlab completion fish | source
function __convlab_proposals
    set -l line (commandline --cut-at-cursor --current-process | string collect)
    set -l program (commandline --tokenize --current-process)[1]
    set -l found (command $program completion for "$line" 2>/dev/null)
    if set -q found[1]
        printf '%s\n' $found
    else
        __fish_complete_path (commandline --current-token)
    end
end
complete --command convlab --no-files --arguments '(__convlab_proposals)'
