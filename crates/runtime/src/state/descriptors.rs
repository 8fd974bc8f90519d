//! What a function says of a state when it opens it. The names are Flink's.

use super::backend::TableSpec;
use super::ttl::StateTtlConfig;
use std::marker::PhantomData;
use std::sync::Arc;

macro_rules! descriptor {
    ($(#[$doc:meta])* $name:ident<$($type:ident),+>) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name<$($type),+> {
            pub(super) spec: TableSpec,
            types: PhantomData<fn() -> ($($type,)+)>,
        }

        impl<$($type),+> $name<$($type),+> {
            /// A state of this name, which is unique within its operator.
            pub fn new(name: impl Into<String>) -> Self {
                $name { spec: TableSpec::new(name), types: PhantomData }
            }

            /// The state's name.
            pub fn name(&self) -> &str {
                &self.spec.name
            }

            /// Lets values expire.
            #[must_use]
            #[doc(alias = "enableTimeToLive")]
            pub fn enable_time_to_live(mut self, ttl: StateTtlConfig) -> Self {
                self.spec.ttl = Some(ttl);
                self
            }
        }
    };
}

descriptor! {
    /// One value for each key.
    ValueStateDescriptor<V>
}
descriptor! {
    /// A list for each key.
    ListStateDescriptor<V>
}
descriptor! {
    /// A map for each key.
    MapStateDescriptor<UK, UV>
}

pub(super) type ReduceFn<V> = Arc<dyn Fn(V, V) -> V + Send + Sync>;

/// One value for each key, into which others are reduced.
#[derive(Clone)]
pub struct ReducingStateDescriptor<V> {
    pub(super) spec: TableSpec,
    pub(super) reduce: ReduceFn<V>,
}

impl<V> ReducingStateDescriptor<V> {
    /// A state of this name; `reduce` makes one value of two.
    pub fn new(name: impl Into<String>, reduce: impl Fn(V, V) -> V + Send + Sync + 'static) -> Self {
        ReducingStateDescriptor { spec: TableSpec::new(name), reduce: Arc::new(reduce) }
    }

    /// Lets values expire.
    #[must_use]
    #[doc(alias = "enableTimeToLive")]
    pub fn enable_time_to_live(mut self, ttl: StateTtlConfig) -> Self {
        self.spec.ttl = Some(ttl);
        self
    }
}

type Add<ACC, IN> = dyn Fn(&mut ACC, IN) + Send + Sync;

pub(super) struct Aggregation<IN, ACC, OUT> {
    pub create: Box<dyn Fn() -> ACC + Send + Sync>,
    pub add: Box<Add<ACC, IN>>,
    pub result: Box<dyn Fn(&ACC) -> OUT + Send + Sync>,
}

/// One accumulator for each key, to which values are added and from which a result is taken.
#[derive(Clone)]
pub struct AggregatingStateDescriptor<IN, ACC, OUT> {
    pub(super) spec: TableSpec,
    pub(super) aggregation: Arc<Aggregation<IN, ACC, OUT>>,
}

impl<IN, ACC, OUT> AggregatingStateDescriptor<IN, ACC, OUT> {
    /// A state of this name: `create` makes an accumulator, `add` adds a value to it, `result` reads it.
    pub fn new(
        name: impl Into<String>,
        create: impl Fn() -> ACC + Send + Sync + 'static,
        add: impl Fn(&mut ACC, IN) + Send + Sync + 'static,
        result: impl Fn(&ACC) -> OUT + Send + Sync + 'static,
    ) -> Self {
        let (create, add, result) = (Box::new(create), Box::new(add), Box::new(result));
        let aggregation = Arc::new(Aggregation { create, add, result });
        AggregatingStateDescriptor { spec: TableSpec::new(name), aggregation }
    }

    /// Lets values expire.
    #[must_use]
    #[doc(alias = "enableTimeToLive")]
    pub fn enable_time_to_live(mut self, ttl: StateTtlConfig) -> Self {
        self.spec.ttl = Some(ttl);
        self
    }
}
