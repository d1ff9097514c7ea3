//! Which links a seed limits to a part of the database, and to which.

use std::sync::Arc;

use blaze_codec::{Condition, Name, Rule, Scope, Value};

use crate::Config;
use crate::fault::Fault;
use crate::plan::{LinkPlan, NodePlan, Plan};
use crate::rng::Rng;
use crate::workload;

/// The scopes of a link's sides: what each lets the other one see and write.
pub(crate) type Scopes = [Option<Arc<Scope>>; 2];

/// What a seed limits.
#[derive(Debug, Clone, Default)]
pub(crate) struct ScopePlan {
    /// The links that have policies, the side that limits the other one, and the policies at
    /// first.
    pub(crate) links: Vec<(usize, usize, Scopes)>,
    /// Whether there is a second collection, which is outside of most scopes.
    pub(crate) second: bool,
    /// About how many values are written.
    values: u64,
    fields: u64,
    /// Whether those who are limited pass on what they get.
    pub(crate) passes: bool,
}

impl Plan {
    /// Some links are limited: those to nodes that have no other, or any.
    pub(crate) fn limit(mut self, rng: &mut Rng, config: &Config) -> Self {
        let limited = rng.percent(config.scope_percent) && config.shape.is_none();
        let (passes, second) = (rng.percent(config.pass_percent), rng.percent(40));
        let weights =
            [Fault::PolicyChange, Fault::Overreach].map(|fault| (fault, rng.between(1, 8)));
        if !limited {
            return self;
        }
        for (fault, weight) in weights {
            self.weights[fault as usize] = weight;
        }
        let values = (self.steps as u64).max(1) * self.writes_max;
        let (fields, links) = (self.fields, Vec::new());
        self.scopes = ScopePlan { links, second, values, fields, passes };
        if !passes && self.leaves().is_empty() {
            let at = rng.index(self.nodes.len());
            self.nodes.push(NodePlan::draw(rng, false));
            self.links.push(LinkPlan::draw(rng, (at, self.nodes.len() - 1), false));
        }
        let chosen: Vec<_> = if passes {
            (0..self.links.len()).map(|link| (link, rng.index(2))).collect()
        } else {
            self.leaves()
        };
        let one = rng.index(chosen.len());
        for (at, (link, owner)) in chosen.into_iter().enumerate() {
            if at == one || rng.percent(if passes { 30 } else { 50 }) {
                let scopes = self.scopes.draw(rng, owner);
                self.scopes.links.push((link, owner, scopes));
            }
        }
        self
    }

    /// The links to nodes that have no other, and the side that isn't theirs.
    fn leaves(&self) -> Vec<(usize, usize)> {
        let ends = |link: &LinkPlan| [link.connector, link.acceptor];
        let degree = |node| self.links.iter().filter(|link| ends(link).contains(&node)).count();
        let leaves = self.links.iter().enumerate().filter_map(|(index, link)| {
            let side = [1, 0].into_iter().find(|side| degree(ends(link)[*side]) == 1)?;
            Some((index, 1 - side))
        });
        leaves.collect()
    }
}

impl ScopePlan {
    /// Whether some links are limited.
    pub(crate) fn is_any(&self) -> bool {
        !self.links.is_empty()
    }

    /// Scopes of which one side has one; where those who are limited pass on what they get,
    /// seldom the other one as well.
    pub(crate) fn draw(&self, rng: &mut Rng, owner: usize) -> Scopes {
        let mut scopes = [None, None];
        scopes[owner] = Some(Arc::new(self.scope(rng)));
        let other = rng.percent(12).then(|| Arc::new(self.scope(rng)));
        scopes[1 - owner] = other.filter(|_| self.passes);
        scopes
    }

    fn scope(&self, rng: &mut Rng) -> Scope {
        let mut rule = Rule::all();
        if rng.percent(40) {
            let fields = workload::FIELDS.into_iter().filter(|_| rng.percent(60));
            rule = rule.only(fields.map(workload::name).collect::<Vec<_>>());
        }
        if rng.percent(90) {
            rule = rule.when(self.condition(rng));
        }
        let mut scope = Scope::new();
        if !rng.percent(5) {
            scope = scope.with(workload::collection(), rule);
        }
        if self.second && rng.percent(20) {
            scope = scope.with(workload::second(), Rule::all());
        }
        scope
    }

    fn condition(&self, rng: &mut Rng) -> Condition {
        let (one, other) = (self.simple(rng), self.simple(rng));
        match rng.below(6) {
            0 => Condition::All(vec![one, other]),
            1 => Condition::Any(vec![one, other]),
            _ => one,
        }
    }

    /// The values that are written ascend, so that records come and go.
    fn simple(&self, rng: &mut Rng) -> Condition {
        let field = self.field(rng);
        let value = Value::from(rng.between(1, self.values.max(2)).cast_signed());
        match rng.below(6) {
            0 => Condition::Is(field, Value::Null),
            1 => Condition::Below(field, value),
            2 => Condition::Above(field, value),
            3 => Condition::Not(Box::new(Condition::Is(field, Value::Null))),
            4 => Condition::Not(Box::new(Condition::Above(field, value))),
            _ => Condition::Not(Box::new(Condition::Below(field, value))),
        }
    }

    fn field(&self, rng: &mut Rng) -> Name {
        let count = usize::try_from(self.fields).unwrap_or(1).min(workload::FIELDS.len());
        workload::name(workload::FIELDS[rng.index(count)])
    }
}
