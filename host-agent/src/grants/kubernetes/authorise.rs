//! The one decision over a request of the cluster's API.

use std::{ops::ControlFlow, sync::Arc};

use super::{
    Access, Allowed, Denial, Kind, Own, Rule, Scope,
    asked::{Asked, Place},
    body::Naming,
    danger,
    miss::Miss,
    own,
    suggest::Written,
    touch::Touch,
};
use crate::grants::Grant;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The plugin's name, as in the grants file.
    pub plugin: &'a str,
    /// Shipped with the agent: it alone may touch the agent's own objects.
    pub built_in: bool,
    /// The agent's own objects.
    pub own: &'a Arc<Own>,
}

/// Whether the request may be sent, and what of the answer may be shown.
///
/// One rule has to cover the whole of a request: kind, verb, namespace, name, every field that is written and every field
/// that is selected by. Where several do, the answer shows what any of them shows: each would have allowed the request on
/// its own, so together they tell nothing that the plugin could not have asked for.
///
/// # Errors
/// [`Denial`] with why, and with the rule that would allow it.
pub fn authorise(grant: &Grant, caller: &Caller<'_>, access: &Access<'_>) -> Result<Allowed, Denial> {
    let asked = Asked::of(access)?;
    let own = (!caller.built_in).then(|| Arc::clone(caller.own));
    if let Some(own) = &own {
        refuse_own(own, &asked).map_or(Ok(()), |why| Err(Denial::denied(asked.refused(caller.plugin, &why), None)))?;
    }
    let mut nearest = Miss::Rules;
    let mut rules = Vec::new();
    for rule in &grant.kubernetes {
        match judge(rule, &asked) {
            ControlFlow::Continue(()) => rules.push(Arc::clone(rule)),
            ControlFlow::Break(miss) => nearest = nearest.or_nearer(miss),
        }
    }
    if rules.is_empty() {
        return Err(asked.denied(caller.plugin, &nearest, Written::of(&asked)));
    }
    Ok(Allowed::new(&asked, caller.plugin, rules, own))
}

fn judge(rule: &Rule, asked: &Asked<'_>) -> ControlFlow<Miss> {
    let need = |met: bool, miss: fn() -> Miss| if met { ControlFlow::Continue(()) } else { ControlFlow::Break(miss()) };
    need(rule.covers_kind(asked.kind), || Miss::Kind)?;
    need(rule.has_verb(asked.verb), || Miss::Verb)?;
    match &asked.place {
        Place::One { namespace, naming } => {
            need(rule.covers_namespace(*namespace), || Miss::Namespace)?;
            let named = match naming {
                Naming::Name(name) => rule.covers_name(name),
                Naming::Generated(prefix) => rule.covers_generated(prefix),
                Naming::Nameless => rule.covers_any_name(),
            };
            need(named, || Miss::Name)?;
        }
        Place::Many(Scope::Cluster) => need(rule.cluster_scope, || Miss::Namespace)?,
        Place::Many(Scope::Namespace(namespace)) => {
            need(rule.namespaces.contains(namespace.as_str()), || Miss::Namespace)?;
        }
        Place::Many(Scope::Granted) => need(!rule.namespaces.texts().is_empty(), || Miss::Namespace)?,
    }
    if let Some(why) = danger::of_kind(asked.kind, asked.verb).filter(|_| !rule.dangerous) {
        return ControlFlow::Break(Miss::Dangerous(why));
    }
    if asked.kind.streams() {
        need(rule.read.is_everything() && rule.write.is_everything(), || Miss::Masked)?;
    }
    asked.touches(&mut |touch| judge_field(rule, asked.kind, &touch))?;
    asked.looks(&mut |path| {
        if rule.read.reads(path) { ControlFlow::Continue(()) } else { ControlFlow::Break(Miss::read(path)) }
    })
}

/// Whether a rule lets a field be written.
pub(super) fn judge_field(rule: &Rule, kind: &Kind, touch: &Touch<'_>) -> ControlFlow<Miss> {
    if let Some(why) = danger::of_field(kind, touch.path).filter(|_| !rule.dangerous) {
        return ControlFlow::Break(Miss::Dangerous(why));
    }
    if rule.write.writes(touch.path) { ControlFlow::Continue(()) } else { ControlFlow::Break(Miss::write(touch.path)) }
}

/// Why a request reaches for what belongs to the agent.
fn refuse_own(own: &Own, asked: &Asked<'_>) -> Option<String> {
    let (namespace, name) = match &asked.place {
        Place::One { namespace, naming: Naming::Name(name) } => (*namespace, Some(*name)),
        Place::One { namespace, .. } => (*namespace, None),
        Place::Many(Scope::Namespace(namespace)) => (Some(namespace.as_str()), None),
        Place::Many(Scope::Cluster | Scope::Granted) => return None,
    };
    if own.holds(asked.verb, asked.kind, namespace, name) {
        return Some(own::refusal("it is the agent's own"));
    }
    if own.lives_in(namespace) && danger::starts_pods(asked.kind, asked.verb) {
        return Some(own::refusal("pods in the agent's namespace could be the agent"));
    }
    let field = asked.touches(&mut |touch| match refuse_own_field(own, asked.kind, namespace, &touch) {
        Some(why) => ControlFlow::Break(why),
        None => ControlFlow::Continue(()),
    });
    field.break_value()
}

/// Why a field that is written reaches for what belongs to the agent.
pub(super) fn refuse_own_field(own: &Own, kind: &Kind, namespace: Option<&str>, touch: &Touch<'_>) -> Option<String> {
    if own::makes_a_plugin(kind, touch) {
        let label = own::plugin_label();
        return Some(own::refusal(&format!("`{label}` makes a ConfigMap a plugin")));
    }
    if own.lives_in(namespace) && danger::of_field(kind, touch.path).is_some() {
        return Some(own::refusal("pods in the agent's namespace could be the agent"));
    }
    None
}
