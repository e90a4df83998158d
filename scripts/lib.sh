# shellcheck shell=bash
# The steps that demo, up and down have in common; sourced by them. Each says what it does, and the command a user would type.
#
# Before the first step, `dir` is the folder of this run: the control plane's files, the store and the logs.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$here" || exit
# STORE=postgres keeps the accounts in a PostgreSQL of its own instead of a file. DIRECTORY=scim,ldap brings them to a SCIM
# server and to slapd too, or to one of them.
# ROSTER_BINARY names an operator that is built already, as make test does.
binary=${ROSTER_BINARY:-${CARGO_TARGET_DIR:-target}/debug/roster}
patience=60

# The operator takes flags from the environment too; a story has to go the same way everywhere.
unset ROSTER_STORE ROSTER_DIRECTORY ROSTER_BILLING_TIME_ZONE ROSTER_NAMESPACE ROSTER_LISTEN ROSTER_RESYNC ROSTER_DIRECTORY_RESYNC ROSTER_TRANSACTION_DEADLINE ROSTER_CLOCK_OFFSET ROSTER_LOG "${!PG@}"
failed=""

bold="" dim="" plain=""
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' dim=$'\e[36m' plain=$'\e[0m'; fi

heading() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

# Prints a command as it would be typed.
typed() {
  local word
  typed_line='$'
  for word; do
    if [[ $word =~ ^([A-Za-z0-9_./:=,@%+-]+|>)$ ]]; then
      typed_line+=" $word"
    elif [[ $word == *\'* ]]; then
      typed_line+=" \"$word\""
    else
      typed_line+=" '$word'"
    fi
  done
  printf '%s%s%s\n' "$dim" "$typed_line" "$plain"
}

# Prints a command and runs it; its warnings belong to the story.
typing() { typed "$@"; "$@" 2>&1; }

# Prints a command and runs it, with the manifest that comes on standard input.
typing_a_manifest() {
  local manifest
  manifest=$(cat)
  typed_line="\$ $*"
  printf '%s%s <<.\n%s\n.%s\n' "$dim" "$typed_line" "$manifest" "$plain"
  "$@" <<<"$manifest" 2>&1
}

# Prints a command and runs it, which has to fail.
refused() {
  typed "$@"
  if "$@" 2>&1; then fail "that should have been refused"; fi
}

roster() { "$binary" "$@"; }

# Prints a command and runs it, with a password on standard input.
typing_with() {
  local password=$1
  shift
  typed_line="\$ $* <<<'$password'"
  printf '%s%s%s\n' "$dim" "$typed_line" "$plain"
  "$@" <<<"$password" 2>&1
}

# Says what went wrong, shows what there is to see of it, and ends; what runs on is stopped by the trap.
fail() {
  trap - ERR
  {
    heading "Failed: $*"
    if [ -s "${dir:-}/admin.kubeconfig" ] && alive "$dir/pids/roster"; then
      kubectl get users.roster.rs --all-namespaces -o wide --request-timeout=5s || true
    fi
    if [ -s "${dir:-}/logs/roster.log" ]; then
      heading "The end of the operator's log"
      tail -n 30 "$dir/logs/roster.log"
    fi
  } >&2
  failed=1 # the trap leaves the logs where they are
  exit 1
}

# Whether the process of a pid file runs; the name guards against a number that was given out again.
alive() {
  local pid
  pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = roster ]
}

# Repeats a command that is quiet until it succeeds, as long as the operator runs and there is patience.
until_true() {
  local deadline=$((SECONDS + patience))
  until "$@" >/dev/null 2>&1; do
    alive "$dir/pids/roster" || fail "the operator has ended"
    [ "$SECONDS" -lt "$deadline" ] || fail "waited $patience s for: $*"
    sleep 0.2
  done
}

# Prints a command that waits, and waits; in several goes, so that an operator that has ended isn't waited for.
waiting() {
  typed kubectl wait "$@" "--timeout=${patience}s"
  until_true have_waited "$@"
  echo "$waited"
}

# kubectl asks about 10 objects a second, so a go has time for a few dozen.
have_waited() { waited=$(kubectl wait "$@" --timeout=5s); }

free_port() {
  local port
  while port=$((20000 + SRANDOM % 12000)); (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
  echo "$port"
}

build_everything() {
  heading "Find or build the control plane and the operator"
  scripts/prerequisites
  typed make control-plane
  assets=$(scripts/control-plane)
  PATH=$assets:$PATH
  export KUBEBUILDER_ASSETS=$assets
  [ -n "${ROSTER_BINARY:-}" ] || typing cargo build --locked
}

start_cluster() {
  heading "Start an API server and etcd"
  typing scripts/cluster start "$dir"
  export KUBECONFIG=$dir/admin.kubeconfig
  heading "Install the resource definitions, the operator's rights and the policies"
  typing scripts/cluster install "$dir"
  scripts/cluster roster-kubeconfig "$dir"
}

# Says where the store is: `store` is its URL, `store_to_make` the one that the operator is given.
choose_store() {
  case ${STORE:-sqlite} in
    sqlite)
      store_name=SQLite store=sqlite://$dir/roster.db
      store_to_make=$store?mode=rwc
      ;;
    postgres)
      heading "Start PostgreSQL, with a database for the operator"
      typing scripts/postgres start "$dir/postgres"
      typing scripts/postgres psql "$dir/postgres" -c 'CREATE DATABASE roster'
      store_name=PostgreSQL store=$(sed 's|/postgres$|/roster|' "$dir/postgres/url")
      store_to_make=$store
      ;;
    *) fail "STORE is sqlite or postgres, not $STORE" ;;
  esac
}

# Prints a statement as an application would make it, and makes it.
typing_sql() {
  if [ "$store_name" = SQLite ]; then typing sqlite3 "$dir/roster.db" "$1"; else typing psql "$store" -c "$1"; fi
}

# The same with a query, whose answer is a table.
typing_query() {
  if [ "$store_name" = SQLite ]; then typing sqlite3 -header -column "$dir/roster.db" "$1"; else typing psql "$store" -c "$1"; fi
}

# Starts the directories and says where they are: `directories` are the operator's flags. There is always a stand-in, which can
# be slow when it is told to.
choose_directories() {
  local name wanted=${DIRECTORY:-}
  mkdir -p "$dir/directory"
  directories=(--directory "rehearsal://$dir/directory") directory_names="a stand-in for a directory" scim="" ldap=""
  for name in ${wanted//,/ }; do
    case $name in
      scim)
        heading "Start a SCIM server"
        typing scripts/scim-server start "$dir/scim"
        (umask 077 && echo "Authorization: Bearer $(cat "$dir/scim/token")" >"$dir/scim/authorization")
        scim=$(cat "$dir/scim/url")
        directories+=(--directory "$scim") directory_names+=", a SCIM server"
        ;;
      ldap)
        heading "Start slapd"
        typing scripts/slapd start "$dir/slapd"
        # ldapsearch takes a line end for a part of the password.
        (umask 077 && printf %s "$(cat "$dir/slapd/password")" >"$dir/slapd/administrator")
        ldap=$(cat "$dir/slapd/url")
        directories+=(--directory "$ldap") directory_names+=", slapd"
        ;;
      *) fail "DIRECTORY is scim, ldap or scim,ldap, not $DIRECTORY" ;;
    esac
  done
}

# Prints what the SCIM server has of a login name, as software that reads it would ask.
typing_scim() {
  [ -n "$scim" ] || return 0
  local base=${scim%%\?*} attributes=attributes=userName,active,emails.value,entitlements.value
  typing curl --silent --fail --header "@$dir/scim/authorization" --get "${base#scim+}/Users" \
    --data-urlencode "filter=userName eq \"$1\"" --data-urlencode "$attributes"
  echo
}

# Prints what slapd has of a login name.
typing_ldap() {
  [ -n "$ldap" ] || return 0
  typing ldapsearch -LLL -x -H "${ldap%%/dc=*}" -D cn=admin,dc=acme,dc=example -y "$dir/slapd/administrator" \
    -b ou=people,dc=acme,dc=example "(uid=$1)" cn mail memberOf
}

# Says how somebody binds to slapd with a password: `bind` is the command.
binding() { bind=(ldapwhoami -x -H "${ldap%%/dc=*}" -D "uid=$1,ou=people,dc=acme,dc=example" -w "$2"); }

start_operator() {
  choose_store
  choose_directories
  heading "Run the operator on $store_name, with the rights of its own service account and $directory_names"
  local listen
  listen=127.0.0.1:$(free_port)
  typed "KUBECONFIG=$dir/roster.kubeconfig" roster run --store "$store_to_make" "${directories[@]}" --listen "$listen"
  KUBECONFIG=$dir/roster.kubeconfig setsid "$binary" run --store "$store_to_make" "${directories[@]}" --listen "$listen" \
    </dev/null >"$dir/logs/roster.log" 2>&1 &
  echo $! >"$dir/pids/roster"
}

apply_examples() {
  heading "Declare an organization: its domains, groups and people"
  typing kubectl apply -f examples/
  heading "Wait until everybody has an account"
  waiting --for=condition=Ready users --all -n acme
}

stop_operator() {
  local pid
  alive "$1/pids/roster" || return 0
  pid=$(cat "$1/pids/roster")
  kill "$pid"
  for _ in {1..100}; do
    alive "$1/pids/roster" || return 0
    sleep 0.1
  done
  kill -KILL "$pid"
}

# Stops what runs in a folder; what doesn't run is fine.
stop_everything() {
  stop_operator "$1"
  scripts/cluster stop "$1"
  [ ! -d "$1/postgres" ] || scripts/postgres stop "$1/postgres"
  [ ! -d "$1/scim" ] || scripts/scim-server stop "$1/scim"
  [ ! -d "$1/slapd" ] || scripts/slapd stop "$1/slapd"
}

# Removes what was stopped.
remove_everything() {
  [ ! -d "$1/postgres" ] || scripts/postgres remove "$1/postgres"
  [ ! -d "$1/scim" ] || scripts/scim-server remove "$1/scim"
  [ ! -d "$1/slapd" ] || scripts/slapd remove "$1/slapd"
  rm -rf "$1"
}
