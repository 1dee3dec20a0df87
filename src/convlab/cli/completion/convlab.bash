# bash completion of convlab: eval "$(convlab completion bash)"
_convlab() {
  local line="${COMP_LINE:0:COMP_POINT}" IFS=$'\n'
  local typed="${line##*[[:space:]]}"
  COMPREPLY=($("${COMP_WORDS[0]}" completion for "$line" 2>/dev/null | cut -f 1))
  # bash takes = and : for ends of words: what stands before the last of them must not come again
  local kept="${typed%"${typed##*[=:]}"}"
  COMPREPLY=("${COMPREPLY[@]#"$kept"}")
  if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == *[=./,] ]]; then compopt -o nospace; fi
}
complete -o bashdefault -o default -F _convlab convlab
