/** Completion for zsh, sourced or as the file _hull in a directory of fpath. */
export const ZSH_SCRIPT = `#compdef hull
# zsh completion for hull: source <(hull completion zsh)
_hull() {
  local -a lines values spaces
  local line value about directive
  lines=("\${(@f)$("\${(Q)words[1]/#\\~/$HOME}" __complete "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}" 2>/dev/null)}")
  directive=\${lines[-1]#:}
  [[ $directive == <-> ]] || return 1
  for line in "\${(@)lines[1,-2]}"; do
    # _describe parts a word from what is said of it at a colon.
    value=\${line%%$'\\t'*}
    about=\${line#"$value"}
    about=\${about#$'\\t'}
    values+=("\${value//:/\\\\:}\${about:+:$about}")
  done
  ((directive & 2)) && spaces=(-S '')
  if ((\${#values})); then
    _describe -V hull values "\${spaces[@]}" && return
  fi
  ((directive & 4)) || _files
}
if [[ \${funcstack[1]} == _hull ]]; then
  _hull "$@"
else
  compdef _hull hull
fi
`;
