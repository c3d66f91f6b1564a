#!/usr/bin/env bash
# Builds and installs pgvector for the newest PostgreSQL server on a Debian machine, from Debian's source package.
# Debian 12 has no such package, and the source of Debian 13 builds against its PostgreSQL 15. Needs root and one
# configured source of Debian packages. Ends at once when the extension is there.
set -euo pipefail

die() {
  echo "install-pgvector: $*" >&2
  exit 1
}

# The release that the source is taken from.
SUITE=trixie
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

newest_server() {
  local folder
  for folder in /usr/lib/postgresql/*/bin/postgres; do
    [ -x "$folder" ] && basename "$(dirname "$(dirname "$folder")")"
  done | sort -n | tail -n 1
}

# The address that this machine has its Debian packages from, of either format of apt's lists.
debian_mirror() {
  find /etc/apt/sources.list /etc/apt/sources.list.d -type f \( -name '*.list' -o -name '*.sources' \) -exec cat {} + 2>/dev/null |
    grep -v '^[[:space:]]*#' | grep -oE '(https?|file|mirror\+[a-z]+):[^[:space:]]*/debian/?([[:space:]]|$)' | head -n 1 | tr -d '[:space:]'
}

server=$(newest_server)
[ -n "$server" ] || die 'there is no PostgreSQL server on this machine: install the package postgresql first'
control=/usr/share/postgresql/$server/extension/vector.control
if [ -e "$control" ]; then
  echo "pgvector is there already, for PostgreSQL $server."
  exit 0
fi
[ "$(id -u)" -eq 0 ] || die 'must be run as root'
mirror=$(debian_mirror) || true
[ -n "$mirror" ] || die 'no source of Debian packages is configured'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir -p "$work/sources" "$work/lists/partial" "$work/source"

export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq -y install --no-install-recommends build-essential "postgresql-server-dev-$server" >/dev/null

# Lists of their own: the machine goes on installing from its own release.
cat >"$work/sources/source-of-pgvector.sources" <<SOURCES
Types: deb-src
URIs: $mirror
Suites: $SUITE
Components: main
Signed-By: $KEYRING
SOURCES
apt_aside() {
  apt-get -qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work/sources" -o Dir::State::Lists="$work/lists" "$@"
}
apt_aside update
(cd "$work/source" && apt_aside source --download-only pgvector >/dev/null) || die "the source of pgvector could not be had from $mirror"
tar -x -C "$work/source" --strip-components 1 -f "$work"/source/pgvector_*.orig.tar.*

# Without OPTFLAGS the build would use instructions of this very processor.
build=(make -C "$work/source" --silent "PG_CONFIG=/usr/lib/postgresql/$server/bin/pg_config" OPTFLAGS= with_llvm=no)
"${build[@]}" -j "$(nproc)" >/dev/null
"${build[@]}" install >/dev/null
[ -e "$control" ] || die 'it was built but is not where PostgreSQL looks for it'
echo "pgvector $(sed -n "s/^default_version = '\(.*\)'/\1/p" "$control") is installed for PostgreSQL $server."
