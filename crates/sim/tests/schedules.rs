//! Two thousand schedules of faults against the machines that run an application.

#[test]
fn jobs_end_and_containers_come_back_whatever_breaks() {
    let mut finished = 0;
    let mut faults = 0;
    for seed in 0..2_000 {
        match kvick_sim::run(seed, false) {
            Ok(outcome) => {
                finished += outcome.finished;
                faults += outcome.faults;
            }
            Err(v) => panic!(
                "seed {} at {} ms: {} (KVICK_SIM_SEED={0} cargo run -p kvick-sim)",
                v.seed, v.at, v.what
            ),
        }
    }
    assert!(
        finished > 500 && faults > 5_000,
        "the schedules test nothing: {finished} finished, {faults} faults"
    );
}
