//! Two thousand schedules of faults against the machines that run an application.

use kvick_sim::Outcome;

#[test]
fn jobs_end_and_containers_come_back_and_no_checkpoint_is_lost_whatever_breaks() {
    let mut sum = Outcome::default();
    for seed in 0..2_000 {
        match kvick_sim::run(seed, false) {
            Ok(outcome) => sum += outcome,
            Err(v) => panic!(
                "seed {} at {} ms: {} (KVICK_SIM_SEED={0} cargo run -p kvick-sim)",
                v.seed, v.at, v.what
            ),
        }
    }
    assert!(sum.in_little_room > 100, "hardly any job ran part by part: {sum:?}");
    let enough = sum.finished > 500 && sum.faults > 5_000;
    let checkpoints = sum.checkpoints > 5_000 && sum.restored > 2_000 && sum.removed > 2_000;
    let checkpoints = checkpoints && sum.fallbacks > 100 && sum.rescaled > 120;
    assert!(sum.takeovers > 1_000, "hardly any application master died: {sum:?}");
    let results = sum.results_read > 2_000 && sum.results_made_again > 200;
    assert!(results, "hardly any result was read or made again: {sum:?}");
    let cluster = sum.gone_in_time > 1_000 && sum.moves > 200 && sum.excluded > 100;
    let network = sum.cut_off > 1_000 && sum.gave_up > 30;
    assert!(cluster && network, "hardly anything was wanted back, or cut off: {sum:?}");
    assert!(sum.lost > 300, "hardly anything was lost with its connection: {sum:?}");
    assert!(sum.unreadable > 20, "hardly any checkpoint was damaged at a takeover: {sum:?}");
    let again = sum.stale > 1_000 && sum.overtaken > 300 && sum.kept > 1_000 && sum.told_twice > 1_000;
    assert!(again && sum.rejections > 30, "hardly anything came late, twice, or was rejected: {sum:?}");
    let given_up = sum.unrecorded > 100 && sum.refused > 10;
    assert!(given_up, "hardly anything was given up for the store's sake: {sum:?}");
    let people = sum.granted > 300 && sum.stopped > 30;
    assert!(enough && checkpoints && people, "the schedules test nothing: {sum:?}");
}
