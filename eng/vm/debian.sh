# Sourced by fetch-kernel and bench: packages of a Debian suite, without installing anything or touching the machine's own lists.
# The mirror is the one that apt uses already. Exit status 77 is for "can't be had here", which is not a failure.

unavailable() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 77
}

# debian_open STATE SUITE...: reads the lists of the suites into the folder STATE, and points $apt at them.
debian_open() {
  local state=$1 mirror suite
  shift
  for program in apt-get apt-cache dpkg-deb; do
    command -v "$program" >/dev/null || unavailable "$program is missing: the kernels are Debian's packages"
  done
  mirror=$(apt-get indextargets --format '$(ORIGIN)|$(COMPONENT)|$(CODENAME)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    awk -F'|' '$1 == "Debian" && $2 == "main" && $3 !~ /security/ { print $4; exit }') || true
  if [ -z "$mirror" ]; then    # no lists read yet: the sources still name it
    mirror=$(apt-get indextargets --format '$(COMPONENT)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
      awk -F'|' '$1 == "main" && $2 ~ /debian\/*$/ { print $2; exit }') || true
  fi
  [ -n "$mirror" ] || unavailable "apt knows no Debian mirror"
  mkdir -p "$state"/lists/partial "$state"/cache/archives/partial
  for suite in "$@"; do
    printf 'deb %s %s main\n' "$mirror" "$suite"
  done > "$state/sources.list"
  apt=(-qq -o "Dir::Etc::sourcelist=$state/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::Lists=$state/lists"
       -o Dir::State::status=/dev/null -o "Dir::Cache=$state/cache" -o Dir::Etc::TrustedParts=/usr/share/keyrings/
       -o APT::Sandbox::User=root -o Acquire::Retries=2)
  apt-get "${apt[@]}" update || unavailable "the lists of $* can't be read"
}

# debian_unpack TREE PACKAGE...: downloads the packages (a name, or name=version, or name/suite) and unpacks them into TREE.
debian_unpack() {
  local tree=$1 download
  shift
  mkdir -p "$tree"
  download=$(mktemp -d -p "$tree")
  (cd "$download" && apt-get "${apt[@]}" download "$@") || unavailable "can't download $*"
  for deb in "$download"/*.deb; do
    dpkg-deb -x "$deb" "$tree"
  done
  rm -rf "$download"
}
