# shellcheck shell=bash
# The product as the end-to-end tests and the chaos command use it: built, configured, with the jobs of the tests.
# Wants `root`, `step`, CARGO_TARGET_DIR and KVICK_DIST from whoever reads it; KVICK_PROFILE=dev builds quicker.

# A configuration of the tests' own: sessions are remembered beside it, so that no session of a person is met.
configure() {
    export FLINK_CONF_DIR=$CARGO_TARGET_DIR/kvick-test-conf
    rm -rf "$FLINK_CONF_DIR"
    cp -r "$KVICK_DIST/conf" "$FLINK_CONF_DIR"
    printf '\nyarn.properties-file.location: %s\n' "$FLINK_CONF_DIR" >> "$FLINK_CONF_DIR/config.yaml"
}

build_for_cluster() {
    local profile=${KVICK_PROFILE:-release} directory=release packing=--release
    if [ "$profile" = dev ]; then directory=debug packing=--debug; fi
    step "distribution"
    "$root/scripts/build-dist.sh" "$KVICK_DIST"
    configure
    (cd "$root" && cargo build --profile "$profile" --locked -q -p kvick-filesystem --example fs)
    export KVICK_FS=$CARGO_TARGET_DIR/$directory/examples/fs
    step "jobs of the tests, in a workspace of their own"
    export KVICK_TEST_JOBS=$CARGO_TARGET_DIR/kvick-test-jobs.jar
    "$KVICK_DIST/bin/cargo-kvick" kvick jar "$packing" --manifest-path "$root/integration/jobs/Cargo.toml" --out "$KVICK_TEST_JOBS"
}
