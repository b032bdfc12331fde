# SPDX-License-Identifier: MIT
# bash completion for roomctl(1)

_roomctl_users()
{
	roomctl --json user list 2>/dev/null | grep -o '"username":"[^"\\]*"' | cut -d'"' -f4
}

_roomctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	local commands='status room client user metrics reload log-level stop init-db migrate verify audit cookie keys check version help'

	case $prev in
	-c|-s)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	-o)
		return ;;
	room)
		mapfile -t COMPREPLY < <(compgen -W 'list show' -- "$cur")
		return ;;
	client)
		mapfile -t COMPREPLY < <(compgen -W 'list' -- "$cur")
		return ;;
	user)
		mapfile -t COMPREPLY < <(compgen -W \
			'add passwd list show disable enable admin unlock sessions totp-off' -- "$cur")
		return ;;
	--email|--full-name|add)
		commands='' ;;
	passwd|disable|enable|unlock|sessions|totp-off|admin)
		commands=$(_roomctl_users) ;;
	log-level)
		mapfile -t COMPREPLY < <(compgen -W 'error warn notice info debug' -- "$cur")
		return ;;
	migrate)
		commands='--check' ;;
	verify)
		commands='unread log all' ;;
	audit)
		commands='--verify' ;;
	show)
		if [[ ${COMP_WORDS[COMP_CWORD-2]} == user ]]; then
			commands=$(_roomctl_users)
		else
			commands=$(roomctl --json room list 2>/dev/null |
				grep -o '"conversation":[0-9]*' | cut -d: -f2)
		fi ;;
	status|list|metrics|reload|stop|init-db|cookie|keys|check|version|help)
		commands='' ;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W '-c -o -s --json --check --admin --email --full-name
			--off --end --verify --version --help' -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur")
	fi
} &&
complete -F _roomctl roomctl
