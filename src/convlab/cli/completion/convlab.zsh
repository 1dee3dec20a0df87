#compdef convlab
# zsh completion of convlab: eval "$(convlab completion zsh)", after compinit
_convlab() {
  local line="${(j: :)words[1,CURRENT-1]} $PREFIX" each
  local -a whole begun
  for each in "${(@f)$("${words[1]}" completion for "$line" 2>/dev/null | cut -f 1)}"; do
    case $each in
      '') ;;
      *[=./,]) begun+=("$each") ;;
      *) whole+=("$each") ;;
    esac
  done
  if (($#whole + $#begun == 0)); then
    _files
  else
    (($#whole)) && compadd -a whole
    (($#begun)) && compadd -S '' -a begun
  fi
}
compdef _convlab convlab
