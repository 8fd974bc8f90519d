//! The table of sizes that Flink's own classes computed, and what happens outside it.

use super::*;

fn memory(pairs: &[(&str, &str)]) -> Result<TaskExecutorMemory, MemoryError> {
    TaskExecutorMemory::from_config(&pairs.iter().copied().collect())
}

fn of_process(size: &str) -> TaskExecutorMemory {
    memory(&[("taskmanager.memory.process.size", size)]).unwrap()
}

fn sum(m: &TaskExecutorMemory) -> u64 {
    let parts = [m.framework_heap, m.framework_off_heap, m.task_heap, m.task_off_heap, m.network, m.managed];
    parts.iter().map(|size| size.0).sum::<u64>() + m.metaspace.0 + m.overhead.0
}

#[test]
fn the_sizes_are_flinks_to_the_byte() {
    let table = [
        ("1024m", 603_979_776, 26_843_542, 67_108_864, 241_591_914, 201_326_592),
        ("1728m", 1_342_177_280, 402_653_174, 134_217_730, 536_870_920, 201_326_592),
        ("2048m", 1_664_299_824, 563_714_445, 166_429_984, 665_719_939, 214_748_368),
        ("4096m", 3_597_035_104, 1_530_082_070, 359_703_515, 1_438_814_063, 429_496_736),
        ("8192m", 7_462_505_664, 3_462_817_321, 746_250_577, 2_985_002_310, 858_993_472),
        ("16384m", 15_837_691_904, 7_650_410_378, 1_583_769_214, 6_335_076_856, 1_073_741_824),
    ];
    for (size, flink, task_heap, network, managed, overhead) in table {
        let m = of_process(size);
        assert_eq!(
            (m.flink.0, m.task_heap.0, m.network.0, m.managed.0, m.overhead.0, m.metaspace.0, m.fit),
            (flink, task_heap, network, managed, overhead, 268_435_456, Fit::AsFlink),
            "{size}"
        );
        assert_eq!(sum(&m), m.process.0, "{size}");
    }
}

#[test]
fn the_heap_and_direct_sizes_of_the_jvm_follow() {
    for (size, xmx, direct) in [("1024m", 161_061_270, 201_326_592), ("2048m", 697_932_173, 300_647_712)] {
        let m = of_process(size);
        assert_eq!(m.framework_heap.0 + m.task_heap.0, xmx);
        assert_eq!(m.framework_off_heap.0 + m.task_off_heap.0 + m.network.0, direct);
    }
}

#[test]
fn what_flink_accepts_is_flinks_and_what_it_refuses_is_scaled() {
    assert_eq!(of_process("982m").fit, Fit::AsFlink);
    for size in ["64m", "300m", "512m", "700m", "800m", "981m"] {
        let m = of_process(size);
        assert_eq!((m.fit, sum(&m)), (Fit::Scaled, m.process.0), "{size}");
        assert!(m.task_heap.0 > m.process.0 / 10, "{size}: {m:?}");
    }
    assert!(memory(&[("taskmanager.memory.process.size", "63m")]).is_err());
}

#[test]
fn parts_that_the_user_set_are_kept_and_refused_as_flink_does() {
    let set = ("taskmanager.memory.jvm-metaspace.size", "256m");
    assert_eq!(
        memory(&[("taskmanager.memory.process.size", "300m"), set]).unwrap_err().to_string(),
        "TaskManager memory configuration failed: Sum of configured JVM Metaspace (256.000mb (268435456 bytes)) and JVM Overhead (192.000mb (201326592 bytes)) exceed configured Total Process Memory (300.000mb (314572800 bytes))."
    );
    assert_eq!(
        memory(&[("taskmanager.memory.process.size", "700m"), set]).unwrap_err().to_string(),
        "TaskManager memory configuration failed: Sum of configured Framework Heap Memory (128.000mb (134217728 bytes)), Framework Off-Heap Memory (128.000mb (134217728 bytes)), Task Off-Heap Memory (0 bytes), Managed Memory (100.800mb (105696462 bytes)) and Network Memory (64.000mb (67108864 bytes)) exceed configured Total Flink Memory (252.000mb (264241152 bytes))."
    );
}

#[test]
fn other_starting_points_lead_to_the_process_size() {
    let m = memory(&[("taskmanager.memory.flink.size", "1342177280b")]).unwrap();
    assert_eq!((m.process, m.managed.0), (MemorySize::mib(1728), 536_870_920));
    let m = memory(&[
        ("taskmanager.memory.task.heap.size", "402653174b"),
        ("taskmanager.memory.managed.size", "536870920b"),
    ])
    .unwrap();
    assert_eq!(sum(&m), m.process.0);
    assert_eq!((m.task_heap.0, m.managed.0), (402_653_174, 536_870_920));
}

#[test]
fn a_managed_size_beats_the_fraction() {
    let m =
        memory(&[("taskmanager.memory.process.size", "2048m"), ("taskmanager.memory.managed.size", "100m")])
            .unwrap();
    assert_eq!(m.managed, MemorySize::mib(100));
    assert_eq!(sum(&m), m.process.0);
}

#[test]
fn an_overhead_that_does_not_fit_its_limits_is_refused() {
    let error = memory(&[("taskmanager.memory.process.size", "3g"), ("taskmanager.memory.flink.size", "1g")])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "TaskManager memory configuration failed: Derived JVM Overhead (1.750gb (1879048192 bytes)) is not in configured JVM Overhead range [192.000mb (201326592 bytes), 1.000gb (1073741824 bytes)]."
    );
}

#[test]
fn nothing_configured_is_the_shipped_size_and_fractions_must_be_fractions() {
    assert_eq!(memory(&[]).unwrap().process, MemorySize::mib(1728));
    let error = memory(&[("taskmanager.memory.managed.fraction", "1.5")]).unwrap_err();
    assert!(error.to_string().contains("'taskmanager.memory.managed.fraction'"), "{error}");
}

#[test]
fn the_derived_options_lead_to_the_same_sizes() {
    for size in ["300m", "1024m", "2048m", "16g"] {
        let m = of_process(size);
        let again = TaskExecutorMemory::from_config(&m.derived()).unwrap();
        assert_eq!(TaskExecutorMemory { fit: m.fit, ..again }, m, "{size}");
    }
}

#[test]
fn the_native_budget_leaves_the_overhead_and_is_divided_by_slots() {
    let m = of_process("2048m");
    let budget = m.native();
    let given = budget.framework.0 + budget.network.0 + budget.managed.0 + budget.task.0;
    assert_eq!(given + m.overhead.0, m.process.0);
    let slot = budget.per_slot(3);
    assert_eq!((slot.managed.0, slot.network.0), (665_719_939 / 3, 166_429_984 / 3));
    assert_eq!(slot.framework, budget.framework);
}
