//! Which turn of which script answers a request.

use std::collections::{BTreeMap, BTreeSet};

use super::conversation::Conversation;
use super::script::Script;

/// What requests do not tell by themselves.
#[derive(Debug, Default)]
pub(super) struct Selection {
    /// Turns that left no trace, by session and the number and text of the user message: the text grows when a
    /// CLI goes on after a message that was never answered.
    traceless: BTreeMap<(String, usize, String), usize>,
    /// The sessions a script of limited reach has served, by number of the script.
    served: BTreeMap<usize, BTreeSet<String>>,
}

impl Selection {
    /// The script and turn that answer, by number; `None` when nothing matches.
    pub(super) fn choose(
        &mut self,
        scripts: &[Script],
        conversation: &Conversation,
    ) -> Option<(usize, usize)> {
        let (script, turn) = self.find(scripts, conversation)?;
        self.served
            .entry(script)
            .or_default()
            .insert(conversation.session.clone());
        if scripts[script].turns[turn].is_traceless() {
            let message = conversation.segments.len() - 1;
            let text = conversation.latest().text.clone();
            *self
                .traceless
                .entry((conversation.session.clone(), message, text))
                .or_default() += 1;
        }
        Some((script, turn))
    }

    /// Replays the choices for the earlier user messages, so that the scripts they used up are known.
    fn find(&self, scripts: &[Script], conversation: &Conversation) -> Option<(usize, usize)> {
        let mut used_up = BTreeSet::new();
        let mut under_way = None;
        for (message, segment) in conversation.segments.iter().enumerate() {
            let is_latest = message + 1 == conversation.segments.len();
            let mut plays: Vec<(usize, usize)> = scripts
                .iter()
                .enumerate()
                .filter(|(number, script)| {
                    (script.every_message || !used_up.contains(number))
                        && !script.turns.is_empty()
                        && script.when.accepts(conversation, segment)
                        && self.reaches(*number, script, &conversation.session)
                })
                .map(|(number, _)| (number, 0))
                .collect();
            if plays.is_empty() {
                plays.extend(under_way);
            }
            under_way = None;
            let mut turn = segment.turns + self.traceless(&conversation.session, message, &segment.text);
            for (number, start) in plays {
                let script = &scripts[number];
                let left = script.turns.len() - start;
                if is_latest && (turn < left || script.last_turn_is_traceless()) {
                    return Some((number, start + turn.min(left - 1)));
                }
                used_up.insert(number);
                if !is_latest && (turn <= left || script.last_turn_is_traceless()) {
                    under_way = (turn < left).then_some((number, start + turn));
                    break;
                }
                turn -= left;
            }
        }
        None
    }

    fn traceless(&self, session: &str, message: usize, text: &str) -> usize {
        self.traceless
            .get(&(session.to_owned(), message, text.to_owned()))
            .copied()
            .unwrap_or(0)
    }

    fn reaches(&self, number: usize, script: &Script, session: &str) -> bool {
        let Some(limit) = script.conversations else {
            return true;
        };
        let served = self.served.get(&number);
        served.map_or(0, BTreeSet::len) < limit || served.is_some_and(|served| served.contains(session))
    }
}
