//! Owns questions for a person as they are shown.

use serde::Serialize;
use turno_core::decision::{Asker, Decision, DecisionStage};
use turno_core::ids::{AgentName, AttemptId, DecisionId, PersonaName, TaskId};
use turno_core::units::Timestamp;
use utoipa::ToSchema;

/// A question for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DecisionView {
    /// Its id.
    #[schema(value_type = u32)]
    pub id: DecisionId,
    /// For which task.
    #[schema(value_type = String)]
    pub task: TaskId,
    /// Who asks.
    pub asker: AskerView,
    /// The question.
    pub question: String,
    /// Ways to answer it; an answer in other words is possible too.
    pub options: Vec<OptionView>,
    /// When it was asked.
    #[schema(value_type = i64)]
    pub asked: Timestamp,
    /// How far it is.
    pub stage: DecisionStageView,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AskerView {
    /// An agent.
    Agent {
        /// In which role.
        #[schema(value_type = String)]
        persona: PersonaName,
        /// Which.
        #[schema(value_type = String)]
        agent: AgentName,
        /// In which attempt.
        #[schema(value_type = u64)]
        attempt: AttemptId,
    },
    /// Turno itself.
    Turno,
}

/// One way to answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OptionView {
    /// What it is called: the answer.
    pub label: String,
    /// What it means.
    pub detail: String,
    /// Whether whoever asks would take it.
    pub recommended: bool,
}

/// How far a question is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DecisionStageView {
    /// An agent waits in its slot, until that time.
    Waiting {
        /// Then the policy decides.
        #[schema(value_type = i64)]
        until: Timestamp,
    },
    /// Its task waits without a slot.
    Open,
    /// It is answered.
    Answered {
        /// In these words.
        answer: String,
        /// By whom: `person` or `policy`.
        by: String,
        /// When.
        #[schema(value_type = i64)]
        at: Timestamp,
    },
    /// Nobody waits for the answer any more.
    Withdrawn,
}

impl DecisionStageView {
    /// Whether an answer is still of use.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            Self::Waiting { .. } | Self::Open => true,
            Self::Answered { .. } | Self::Withdrawn => false,
        }
    }
}

impl DecisionView {
    pub(crate) fn of(decision: &Decision) -> Self {
        let question = &decision.question;
        let recommended = question.recommended.as_deref().map(str::trim);
        let options = question.options.iter().map(|option| OptionView {
            label: option.label.clone(),
            detail: option.detail.clone(),
            recommended: recommended == Some(option.label.trim()),
        });
        Self {
            id: decision.id,
            task: decision.task,
            asker: match &decision.asker {
                Asker::Agent { actor, .. } => AskerView::Agent {
                    persona: actor.persona.clone(),
                    agent: actor.agent.clone(),
                    attempt: actor.attempt,
                },
                Asker::Trial | Asker::Guard { .. } => AskerView::Turno,
            },
            question: question.question.clone(),
            options: options.collect(),
            asked: decision.asked,
            stage: match &decision.stage {
                DecisionStage::Waiting { until, .. } => DecisionStageView::Waiting { until: *until },
                DecisionStage::Open => DecisionStageView::Open,
                DecisionStage::Answered { by, answer, at, .. } => DecisionStageView::Answered {
                    answer: answer.clone(),
                    by: super::word(by),
                    at: *at,
                },
                DecisionStage::Withdrawn => DecisionStageView::Withdrawn,
            },
        }
    }
}
