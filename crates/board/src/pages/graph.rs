//! Owns where the tasks of a plan stand in a picture: one layer after another, each task right of all that it needs,
//! near to them. It places boxes and lines; how they look is the sheet's business.

use std::collections::BTreeMap;

use serde::Serialize;
use turno_core::ids::TaskId;

use crate::view::issue::TaskNode;

const WIDE: usize = 220;
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

/// The picture of a plan, with the chain that takes the longest; the issue's own task is not in it, as all others belong to it.
pub(super) fn graph(tasks: &[TaskNode], longest: &[TaskId]) -> Graph {
    let tasks: Vec<&TaskNode> = tasks.iter().filter(|t| !t.id.is_lead()).collect();
    let layers = layers(&tasks);
    let rows = rows(&tasks, &layers);
    let most = rows.iter().map(Vec::len).max().unwrap_or(0);
    let (mut boxes, mut places) = (Vec::new(), BTreeMap::new());
    for (layer, row) in rows.iter().enumerate() {
        let empty = (most - row.len()) * (HIGH + BELOW) / 2;
        for (at, stop) in row.iter().enumerate() {
            let (x, y) = (EDGE + layer * (WIDE + ACROSS), EDGE + empty + at * (HIGH + BELOW));
            places.insert((layer, *stop), (x, y + HIGH / 2));
            let task = tasks.iter().find(|t| *stop == Stop::Task(t.id));
            boxes.extend(task.map(|task| Boxed {
                id: task.id,
                x,
                y,
                wide: WIDE,
                high: HIGH,
                title: shortened(&task.title),
                stage: crate::view::word(&task.stage),
                critical: task.critical,
            }));
        }
    }
    Graph {
        wide: (rows.len() * (WIDE + ACROSS)).saturating_sub(ACROSS) + 2 * EDGE,
        high: (most * (HIGH + BELOW)).saturating_sub(BELOW) + 2 * EDGE,
        boxes,
        lines: lines(longest, needs(&tasks, &layers), &places),
    }
}

/// What stands in a layer: a task, or a line that goes by, for which room is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stop {
    Task(TaskId),
    Line { from: TaskId, to: TaskId },
}

/// Every need of a task that stands left of it, with the layers of both.
fn needs(tasks: &[&TaskNode], layers: &BTreeMap<TaskId, usize>) -> Vec<(TaskId, usize, TaskId, usize)> {
    let mut needs = Vec::new();
    for task in tasks {
        for from in &task.needs {
            if let (Some(left), Some(right)) = (layers.get(from), layers.get(&task.id))
                && left < right
            {
                needs.push((*from, *left, task.id, *right));
            }
        }
    }
    needs
}

/// The layers from left to right, each from top to bottom.
fn rows(tasks: &[&TaskNode], layers: &BTreeMap<TaskId, usize>) -> Vec<Vec<Stop>> {
    let mut rows: Vec<Vec<Stop>> = vec![Vec::new(); layers.values().max().map_or(0, |l| l + 1)];
    for (id, layer) in layers {
        rows[*layer].push(Stop::Task(*id));
    }
    let needs = needs(tasks, layers);
    for (from, left, to, right) in &needs {
        for row in rows.iter_mut().take(*right).skip(left + 1) {
            row.push(Stop::Line { from: *from, to: *to });
        }
    }
    let mut placed: BTreeMap<Stop, usize> = BTreeMap::new();
    for (layer, row) in rows.iter_mut().enumerate() {
        // Beside the middle of what it comes from, so that few lines cross.
        row.sort_by_key(|stop| {
            let before: Vec<Stop> = match stop {
                Stop::Task(id) => {
                    let own = needs.iter().filter(|n| n.2 == *id);
                    own.map(|(from, left, to, _)| {
                        if left + 1 == layer {
                            Stop::Task(*from)
                        } else {
                            Stop::Line { from: *from, to: *to }
                        }
                    })
                    .collect()
                }
                Stop::Line { from, .. } if layers.get(from).is_some_and(|l| l + 1 == layer) => {
                    vec![Stop::Task(*from)]
                }
                Stop::Line { .. } => vec![*stop],
            };
            let at: Vec<usize> = before.iter().filter_map(|b| placed.get(b).copied()).collect();
            let middle = (at.iter().sum::<usize>() * 100).checked_div(at.len());
            (middle.unwrap_or(usize::MAX), *stop)
        });
        placed = row.iter().enumerate().map(|(at, stop)| (*stop, at)).collect();
    }
    rows
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

fn lines(
    longest: &[TaskId],
    needs: Vec<(TaskId, usize, TaskId, usize)>,
    places: &BTreeMap<(usize, Stop), (usize, usize)>,
) -> Vec<Line> {
    let mut lines = Vec::new();
    for (from, left, to, right) in needs {
        let Some((x, y)) = places.get(&(left, Stop::Task(from))) else {
            continue;
        };
        let (mut x, mut y) = (x + WIDE, *y);
        let mut path = format!("M{x} {y}");
        for layer in left + 1..=right {
            let stop = if layer == right {
                Stop::Task(to)
            } else {
                Stop::Line { from, to }
            };
            let Some((next, down)) = places.get(&(layer, stop)) else {
                continue;
            };
            let half = ACROSS / 2;
            path.push_str(&format!("C{} {y} {} {down} {next} {down}", x + half, next - half));
            (x, y) = (*next, *down);
            if layer < right {
                x += WIDE;
                path.push_str(&format!("L{x} {y}"));
            }
        }
        lines.push(Line {
            path,
            critical: longest.windows(2).any(|pair| pair == [from, to]),
        });
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
            by: turno_core::plan::edit::Origin::Team,
            open: turno_core::plan::view::Open::Everything,
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
        let longest = ["1.1", "1.3"].map(|id| id.parse().unwrap());
        let graph = graph(&nodes, &longest);
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
        let graph = graph(&[node("1.1", &["1.2"]), node("1.2", &["1.1", "1.9"])], &[]);
        assert_eq!(graph.boxes.len(), 2);
        assert_eq!(super::graph(&[], &[]).boxes.len(), 0);
    }
}
