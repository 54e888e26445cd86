//! The providers of one set of settings.

use std::collections::HashSet;
use std::sync::Arc;

use super::Purge;
use super::step::Step;
use crate::figures::ProviderFigures;
use crate::settings::ListenerSettings;
use crate::{Problem, Settings};

/// The providers in their order. Another set of settings is another line.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) steps: Vec<Arc<Step>>,
    listeners: Vec<ListenerSettings>,
}

impl Line {
    /// Counts go on from those of the line before.
    pub(super) fn build(settings: Settings, before: Option<&Self>) -> Result<Self, Problem> {
        let mut names = HashSet::new();
        let mut steps = Vec::new();
        for provider in settings.providers {
            let name = Arc::clone(&provider.name);
            if !names.insert(Arc::clone(&name)) {
                return Err(Problem::new("two providers have this name").of(&name));
            }
            let old = before.and_then(|line| line.find(&name));
            let step = Step::build(provider, settings.access.as_ref(), old)
                .map_err(|problem| problem.of(&name))?;
            steps.push(Arc::new(step));
        }
        Ok(Self {
            steps,
            listeners: settings.listeners,
        })
    }

    pub(super) fn find(&self, name: &str) -> Option<&Arc<Step>> {
        self.steps.iter().find(|step| &*step.name == name)
    }

    pub(super) fn at(&self, place: usize) -> Option<&Arc<Step>> {
        self.steps.get(place)
    }

    /// What a listener is called.
    pub(super) fn listener_name(&self, listener: u16) -> Arc<str> {
        let found = self.listeners.get(usize::from(listener));
        found.map_or_else(|| listener.to_string().into(), |it| Arc::clone(&it.name))
    }

    /// Whether clients without a user may come in by it.
    pub(super) fn admits_anonymous(&self, listener: u16) -> bool {
        let found = self.listeners.get(usize::from(listener));
        found.is_some_and(|it| it.anonymous)
    }

    /// Whether nobody comes in by it without a user. Of a listener that is gone this is not said.
    pub(super) fn asks_for_names(&self, listener: u16) -> bool {
        let found = self.listeners.get(usize::from(listener));
        found.is_some_and(|it| !it.anonymous)
    }

    pub(super) fn figures(&self) -> Vec<ProviderFigures> {
        self.steps.iter().map(|step| step.figures()).collect()
    }

    pub(super) fn purge(&self, purge: &Purge<'_>) -> usize {
        self.steps.iter().map(|step| step.purge(purge)).sum()
    }
}
