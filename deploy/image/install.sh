#!/bin/sh
# The builder stage of every image. Two steps, so that a change of code does not fetch anything anew:
#
#   install.sh dependencies PACKAGE...   what our packages need, from requirements.lock
#   install.sh packages FOLDER...        our packages themselves
#
# Everything goes into /opt/aibridge, an environment without pip; the tools stay behind in this stage.
set -eu
export PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
target=/opt/aibridge/bin/python
step=$1
shift

# Wheels only: nothing that we fetched runs during a build.
install_locked() {
  pip "$@" install --no-deps --require-hashes --only-binary :all: -r subset.lock
}

case $step in
dependencies)
  python -m venv --without-pip /opt/aibridge
  python deploy/image/sublock.py requirements.lock hatchling >subset.lock
  install_locked
  python deploy/image/sublock.py requirements.lock "$@" >subset.lock
  install_locked --python $target
  ;;
packages)
  pip wheel --no-deps --no-build-isolation -w wheels "$@"
  pip --python $target install --no-deps --no-index wheels/*.whl
  pip --python $target check
  ;;
esac
