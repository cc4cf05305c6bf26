/**
 * Completion for bash 4.3 and later, alone: it needs nothing of the bash-completion package. bash splits words at `:` and `=`
 * (COMP_WORDBREAKS), which names and flags contain, so the words are put together again from the line, and what bash holds for
 * an earlier word is taken off the answers.
 */
export const BASH_SCRIPT = `# bash completion for hull: source <(hull completion bash)
_hull() {
  local rest=\${COMP_LINE:0:COMP_POINT} words=() trimmed word i
  for ((i = 0; i <= COMP_CWORD; i++)); do
    trimmed=\${rest#"\${rest%%[![:space:]]*}"}
    word=\${COMP_WORDS[i]}
    ((i == COMP_CWORD)) && word=$trimmed
    if ((i > 0)) && [[ $trimmed == "$rest" ]]; then
      words[-1]+=$word
    else
      words+=("$word")
    fi
    rest=\${trimmed#"$word"}
  done

  local current=\${words[-1]} held='' lines directive line
  [[ $COMP_WORDBREAKS == *:* && $current == *:* ]] && held=\${current%"\${current##*:}"}
  if [[ $COMP_WORDBREAKS == *=* && $current == *=* ]]; then
    line=\${current%"\${current##*=}"}
    ((\${#line} > \${#held})) && held=$line
  fi

  mapfile -t lines < <("\${words[0]/#\\~/$HOME}" __complete "\${words[@]:1}" 2>/dev/null)
  ((\${#lines[@]})) || return
  directive=\${lines[-1]#:}
  unset 'lines[-1]'
  COMPREPLY=()
  for line in "\${lines[@]}"; do
    line=\${line%%$'\\t'*}
    COMPREPLY+=("\${line#"$held"}")
  done
  if ((directive & 2)); then compopt -o nospace 2>/dev/null; fi
  if ((!(directive & 4))); then compopt -o default 2>/dev/null; fi
}
complete -F _hull hull
`;
