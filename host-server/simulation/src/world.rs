//! Everything that a history has.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use claiflow_server::model::ids::Id;
use tokio::time::Instant;

use crate::{
    agent::Agent, chance::Chance, checker::Checker, clock::Wall, database::Database, effects::Effects, history::Parts,
    net::Net, people::Made, replica::Replica, setup::Setup, tables::Tables, templates::Template, trace::Trace,
};

pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) parts: Parts,
    pub(crate) chance: Chance,
    pub(crate) trace: Trace,
    pub(crate) database: Arc<Database>,
    pub(crate) effects: Effects,
    pub(crate) net: Net,
    /// One a replica.
    pub(crate) walls: Vec<Wall>,
    pub(crate) templates: Vec<Template>,
    pub(crate) agents: Vec<Agent>,
    /// Those that run, by their numbers.
    replicas: Mutex<BTreeMap<usize, Arc<Replica>>>,
    made: Mutex<BTreeMap<Id, Made>>,
    /// No fault happens any more.
    pub(crate) is_calm: AtomicBool,
}

impl World {
    pub(crate) fn new(setup: Setup, parts: Parts) -> Arc<Self> {
        // Not the numbers that the setup was drawn from.
        let (began, chance) = (Instant::now(), Chance::new(setup.seed ^ 0xa5a5_5a5a_0f0f_f0f0));
        let trace = Trace::new(began, setup.keeps_trace);
        let templates: Vec<Template> = (0..setup.templates).map(|number| Template::drawn(&chance, number)).collect();
        let tables = Tables {
            snapshots: templates.iter().map(|it| (it.snapshot.id, Arc::clone(&it.snapshot))).collect(),
            rules: setup.rules,
            bug: setup.bug,
            ..Tables::default()
        };
        let fails_over = setup.faults.contains(&crate::faults::Fault::FailOver);
        let database = Database::new(tables, Checker::default(), &chance, fails_over);
        let agents = setup.agents.iter().enumerate();
        Arc::new(Self {
            database: Arc::new(database),
            effects: Effects::default(),
            net: Net::new(&chance),
            walls: (0..setup.replicas).map(|_| Wall::new(began, &chance)).collect(),
            agents: agents.map(|(number, (cluster, slots))| Agent::new(number, *cluster, *slots, &chance)).collect(),
            replicas: Mutex::default(),
            made: Mutex::default(),
            is_calm: AtomicBool::new(false),
            setup,
            parts,
            chance,
            trace,
            templates,
        })
    }

    pub(crate) fn replicas(&self) -> MutexGuard<'_, BTreeMap<usize, Arc<Replica>>> {
        self.replicas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn replica(&self, number: usize) -> Option<Arc<Replica>> {
        self.replicas().get(&number).cloned()
    }

    /// One that runs, as the chance says.
    pub(crate) fn any_replica(&self) -> Option<Arc<Replica>> {
        let running: Vec<_> = self.replicas().values().cloned().collect();
        self.chance.pick(&running).cloned()
    }

    /// The tasks that people made.
    pub(crate) fn made(&self) -> MutexGuard<'_, BTreeMap<Id, Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.is_calm.load(Ordering::Relaxed)
    }
}
