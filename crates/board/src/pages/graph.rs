//! Owns where the tasks of a plan stand in a picture: one layer after another, each task right of all that it needs,
//! near to them. It places boxes and lines; how they look is the sheet's business.

use std::collections::BTreeMap;

use serde::Serialize;
use turno_core::ids::TaskId;

use crate::view::issue::TaskNode;

const WIDE: usize = 200;
const HIGH: usize = 52;
const ACROSS: usize = 56;
const BELOW: usize = 16;
const EDGE: usize = 6;
/// So much of a title fits into a box.
const TITLE: usize = 27;

/// A plan as a picture, in user units of SVG.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Graph {
    pub(super) wide: usize,
    pub(super) high: usize,
    pub(super) boxes: Vec<Boxed>,
    pub(super) lines: Vec<Line>,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Boxed {
    pub(super) id: TaskId,
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) wide: usize,
    pub(super) high: usize,
    pub(super) title: String,
    pub(super) stage: String,
    pub(super) critical: bool,
}

/// From a task to one that needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    pub(super) path: String,
    pub(super) critical: bool,
}

/// The picture of a plan; the issue's own task is not in it, as all others belong to it.
pub(super) fn graph(tasks: &[TaskNode]) -> Graph {
    let tasks: Vec<&TaskNode> = tasks.iter().filter(|t| !t.id.is_lead()).collect();
    let layers = layers(&tasks);
    let mut rows: Vec<Vec<&TaskNode>> = vec![Vec::new(); layers.values().max().map_or(0, |l| l + 1)];
    for task in &tasks {
        if let Some(row) = layers.get(&task.id).and_then(|l| rows.get_mut(*l)) {
            row.push(task);
        }
    }
    let mut placed: BTreeMap<TaskId, usize> = BTreeMap::new();
    for row in &mut rows {
        // Beside the middle of what it needs, so that few lines cross.
        row.sort_by_key(|task| {
            let needs: Vec<usize> = task.needs.iter().filter_map(|n| placed.get(n).copied()).collect();
            let middle = (needs.iter().sum::<usize>() * 100).checked_div(needs.len());
            (middle.unwrap_or(usize::MAX), task.id)
        });
        for (at, task) in row.iter().enumerate() {
            placed.insert(task.id, at);
        }
    }
    let most = rows.iter().map(Vec::len).max().unwrap_or(0);
    let high = (most * (HIGH + BELOW)).saturating_sub(BELOW) + 2 * EDGE;
    let mut boxes = Vec::new();
    for (layer, row) in rows.iter().enumerate() {
        let empty = (most - row.len()) * (HIGH + BELOW) / 2;
        for (at, task) in row.iter().enumerate() {
            boxes.push(Boxed {
                id: task.id,
                x: EDGE + layer * (WIDE + ACROSS),
                y: EDGE + empty + at * (HIGH + BELOW),
                wide: WIDE,
                high: HIGH,
                title: shortened(&task.title),
                stage: crate::view::word(&task.stage),
                critical: task.critical,
            });
        }
    }
    Graph {
        wide: (rows.len() * (WIDE + ACROSS)).saturating_sub(ACROSS) + 2 * EDGE,
        high,
        lines: lines(&tasks, &boxes),
        boxes,
    }
}

fn shortened(title: &str) -> String {
    if title.chars().count() <= TITLE {
        return title.to_owned();
    }
    title.chars().take(TITLE - 1).chain(['…']).collect()
}

/// How far each task stands from those that need nothing. What needs itself in a circle, or what is not there, does
/// not count.
fn layers(tasks: &[&TaskNode]) -> BTreeMap<TaskId, usize> {
    let mut layers: BTreeMap<TaskId, usize> = tasks.iter().map(|t| (t.id, 0)).collect();
    for _ in 0..tasks.len() {
        let mut moved = false;
        for task in tasks {
            let after = task.needs.iter().filter_map(|n| layers.get(n)).max();
            let least = after.map_or(0, |l| l + 1).min(tasks.len().saturating_sub(1));
            if layers.get(&task.id).is_some_and(|l| *l < least) {
                layers.insert(task.id, least);
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    layers
}

fn lines(tasks: &[&TaskNode], boxes: &[Boxed]) -> Vec<Line> {
    let at: BTreeMap<TaskId, &Boxed> = boxes.iter().map(|b| (b.id, b)).collect();
    let mut lines = Vec::new();
    for task in tasks {
        for need in &task.needs {
            let (Some(from), Some(to)) = (at.get(need), at.get(&task.id)) else {
                continue;
            };
            let (x1, y1) = (from.x + WIDE, from.y + HIGH / 2);
            let (x2, y2) = (to.x, to.y + HIGH / 2);
            let half = ACROSS / 2;
            lines.push(Line {
                path: format!(
                    "M{x1} {y1}C{} {y1} {} {y2} {x2} {y2}",
                    x1 + half,
                    x2.saturating_sub(half)
                ),
                critical: from.critical && to.critical,
            });
        }
    }
    // What matters is drawn last, above the others.
    lines.sort_by_key(|l| l.critical);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use turno_core::outcome::Size;
    use turno_core::persona::Role;
    use turno_core::units::MicroUsd;
    use turno_core::view::StageName;

    fn node(id: &str, needs: &[&str]) -> TaskNode {
        TaskNode {
            id: id.parse().unwrap(),
            title: format!("a title that is a good deal too long {id}"),
            stage: StageName::Ready,
            detail: String::new(),
            waiting: None,
            clashes: None,
            needs: needs.iter().map(|n| n.parse().unwrap()).collect(),
            touches: Vec::new(),
            writer: Role::Engineer,
            size: Size::Small,
            critical: matches!(id, "1.1" | "1.3"),
            attempts: 0,
            cost: MicroUsd(0),
        }
    }

    #[test]
    fn each_task_stands_right_of_what_it_needs_and_none_on_another() {
        let nodes = [
            node("1.1", &[]),
            node("1.2", &[]),
            node("1.3", &["1.1"]),
            node("1.4", &["1.2", "1.3"]),
            node("1.5", &["1.2"]),
        ];
        let graph = graph(&nodes);
        let at = |id: &str| graph.boxes.iter().find(|b| b.id.to_string() == id).unwrap();
        for node in &nodes {
            for need in &node.needs {
                assert!(
                    at(&need.to_string()).x + WIDE < at(&node.id.to_string()).x,
                    "{need} {}",
                    node.id
                );
            }
        }
        for (i, a) in graph.boxes.iter().enumerate() {
            assert!(a.x + WIDE <= graph.wide && a.y + HIGH <= graph.high, "{a:?}");
            assert!(
                graph.boxes[i + 1..]
                    .iter()
                    .all(|b| a.x != b.x || a.y.abs_diff(b.y) >= HIGH)
            );
        }
        assert_eq!(graph.lines.len(), 4);
        assert_eq!(graph.lines.iter().filter(|l| l.critical).count(), 1);
        assert_eq!(at("1.1").title.chars().count(), TITLE);
    }

    #[test]
    fn a_circle_and_a_task_that_is_not_there_end_too() {
        let graph = graph(&[node("1.1", &["1.2"]), node("1.2", &["1.1", "1.9"])]);
        assert_eq!(graph.boxes.len(), 2);
        assert_eq!(super::graph(&[]).boxes.len(), 0);
    }
}
