# SPDX-License-Identifier: MIT
# bash completion for roomctl(1)

_roomctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	local commands='status room metrics reload log-level stop init-db migrate verify check version help'

	case $prev in
	-c|-s)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	-o)
		return ;;
	room)
		mapfile -t COMPREPLY < <(compgen -W 'list show' -- "$cur")
		return ;;
	log-level)
		mapfile -t COMPREPLY < <(compgen -W 'error warn notice info debug' -- "$cur")
		return ;;
	migrate)
		commands='--check' ;;
	verify)
		commands='unread log all' ;;
	show)
		commands=$(roomctl --json room list 2>/dev/null |
			grep -o '"conversation":[0-9]*' | cut -d: -f2) ;;
	status|list|metrics|reload|stop|init-db|check|version|help)
		commands='' ;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W '-c -o -s --json --check --version --help' -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur")
	fi
} &&
complete -F _roomctl roomctl
