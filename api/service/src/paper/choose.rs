//! Chooses the questions of a paper.

use std::collections::HashMap;

use jishu_entity::question_version::Difficulty;
use jishu_entity::{QuestionId, QuestionVersionId, TopicId};
use sha2::{Digest, Sha256};

/// A question of the bank that a new paper can ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) question_id: QuestionId,
    pub(super) version_id: QuestionVersionId,
    pub(super) topic_id: TopicId,
    pub(super) difficulty: Difficulty,
    /// The number of papers of the subject that already ask the question.
    pub(super) uses: i64,
}

/// A part of a blueprint: a number of questions of a topic and a difficulty. None as topic or difficulty means any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) topic_id: Option<TopicId>,
    pub(super) difficulty: Option<Difficulty>,
    pub(super) questions: usize,
}

impl Part {
    /// Tells whether a question fits this part.
    fn takes(&self, candidate: &Candidate) -> bool {
        self.topic_id.is_none_or(|topic| topic == candidate.topic_id)
            && self.difficulty.is_none_or(|difficulty| difficulty == candidate.difficulty)
    }
}

/// A part that cannot be filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shortage {
    /// The index of the part in the blueprint.
    pub(super) part: usize,
    /// The number of questions that could be chosen for this part, beside the questions for all earlier parts.
    pub(super) found: usize,
}

/// Chooses the questions of a paper for the parts of a blueprint, ordered by part. Prefers questions that the fewest
/// papers ask; among equals, the seed decides. The same parts, candidates and seed give the same paper. If a part
/// cannot be filled, returns it as a [`Shortage`].
///
/// If parts overlap, a question that was chosen for one part can move to another part (augmenting paths, as in Kuhn's
/// matching). So a paper is found whenever the candidates suffice for all parts.
pub(super) fn choose(
    parts: &[Part],
    mut candidates: Vec<Candidate>,
    seed: i64,
) -> Result<Vec<Candidate>, Shortage> {
    candidates.sort_by_cached_key(|candidate| (candidate.uses, random_rank(seed, candidate.question_id.0)));
    let slots: Vec<usize> =
        parts.iter().enumerate().flat_map(|(at, part)| std::iter::repeat_n(at, part.questions)).collect();
    let mut matching = Matching { parts, slots: &slots, candidates: &candidates, taken: HashMap::new() };
    for slot in 0..slots.len() {
        if !matching.place(slot, &mut vec![false; candidates.len()]) {
            let part = slots[slot];
            return Err(Shortage {
                part,
                found: slots[..slot].iter().filter(|other| **other == part).count(),
            });
        }
    }
    let mut chosen: Vec<(usize, usize)> =
        matching.taken.iter().map(|(candidate, slot)| (slots[*slot], *candidate)).collect();
    // Sort by part, then by the order of the candidates. Questions can have moved between slots, so their order within
    // a part means nothing.
    chosen.sort_unstable();
    Ok(chosen.into_iter().map(|(_, candidate)| candidates[candidate].clone()).collect())
}

/// A partial assignment of candidates to slots.
struct Matching<'c> {
    parts: &'c [Part],
    /// The index of the part of each slot.
    slots: &'c [usize],
    candidates: &'c [Candidate],
    /// The slot of each candidate that is assigned, by the index of the candidate.
    taken: HashMap<usize, usize>,
}

impl Matching<'_> {
    /// Assigns a candidate to a slot, and moves candidates of other slots if needed. Returns false if no candidate can
    /// take the slot. `tried` marks the candidates that this search has already tried to move. The recursion is at most
    /// as deep as the number of slots.
    fn place(&mut self, slot: usize, tried: &mut [bool]) -> bool {
        let part = self.parts[self.slots[slot]];
        let candidates = self.candidates;
        let fitting = || candidates.iter().enumerate().filter(move |(_, candidate)| part.takes(candidate));
        if let Some((free, _)) = fitting().find(|(at, _)| !self.taken.contains_key(at)) {
            self.taken.insert(free, slot);
            return true;
        }
        for (at, _) in fitting() {
            if std::mem::replace(&mut tried[at], true) {
                continue;
            }
            let moved = self.taken.get(&at).copied();
            if moved.is_none_or(|other| self.place(other, tried)) {
                self.taken.insert(at, slot);
                return true;
            }
        }
        false
    }
}

/// Returns a pseudo-random rank of a question. The rank depends only on the seed and the id of the question, so it is
/// the same on every machine and in every release.
fn random_rank(seed: i64, question: i64) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(seed.to_le_bytes());
    digest.update(question.to_le_bytes());
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Difficulty::{Easy, Hard, Medium};

    fn candidate(id: i64, topic: i64, difficulty: Difficulty, uses: i64) -> Candidate {
        Candidate {
            question_id: QuestionId(id),
            version_id: QuestionVersionId(id),
            topic_id: TopicId(topic),
            difficulty,
            uses,
        }
    }

    fn part(topic: Option<i64>, difficulty: Option<Difficulty>, questions: usize) -> Part {
        Part { topic_id: topic.map(TopicId), difficulty, questions }
    }

    fn ids(chosen: &[Candidate]) -> Vec<i64> {
        chosen.iter().map(|candidate| candidate.question_id.0).collect()
    }

    fn bank() -> Vec<Candidate> {
        (1..=60)
            .map(|id| candidate(id, id % 3, [Easy, Medium, Hard][usize::try_from(id / 3 % 3).unwrap()], 0))
            .collect()
    }

    #[test]
    fn a_paper_follows_its_blueprint_and_its_seed() {
        let parts = [part(Some(1), Some(Easy), 3), part(Some(2), None, 5), part(None, Some(Hard), 4)];
        let chosen = choose(&parts, bank(), 7).unwrap();
        assert_eq!(chosen.len(), 12);
        assert!(chosen[..3].iter().all(|it| it.topic_id == TopicId(1) && it.difficulty == Easy));
        assert!(chosen[3..8].iter().all(|it| it.topic_id == TopicId(2)));
        assert!(chosen[8..].iter().all(|it| it.difficulty == Hard));
        let mut distinct = ids(&chosen);
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 12);
        let mut turned = bank();
        turned.reverse();
        assert_eq!(
            choose(&parts, turned, 7).unwrap(),
            chosen,
            "the order of the candidates changed the choice"
        );
        assert_ne!(choose(&parts, bank(), 8).unwrap(), chosen);
    }

    #[test]
    fn papers_share_no_question_while_the_bank_has_unused_ones() {
        let mut bank = bank();
        let mut seen = Vec::new();
        for seed in 0..6 {
            let chosen = choose(&[part(None, None, 10)], bank.clone(), seed).unwrap();
            for it in &mut bank {
                it.uses += i64::from(chosen.iter().any(|other| other.question_id == it.question_id));
            }
            seen.extend(ids(&chosen));
        }
        seen.sort_unstable();
        assert_eq!(seen, (1..=60).collect::<Vec<_>>());
    }

    #[test]
    fn overlapping_parts_are_filled_whenever_possible() {
        let bank = vec![candidate(1, 1, Hard, 0), candidate(2, 1, Easy, 9), candidate(3, 2, Easy, 9)];
        let parts = [part(None, None, 1), part(Some(1), None, 1), part(None, Some(Hard), 1)];
        assert_eq!(ids(&choose(&parts, bank, 1).unwrap()), [3, 2, 1]);
    }

    #[test]
    fn the_part_that_lacks_questions_is_returned() {
        let parts = [part(Some(1), None, 2), part(None, Some(Hard), 3)];
        let bank = vec![candidate(1, 1, Hard, 0), candidate(2, 1, Hard, 0), candidate(3, 2, Hard, 0)];
        assert_eq!(choose(&parts, bank, 1), Err(Shortage { part: 1, found: 1 }));
        assert_eq!(choose(&parts, Vec::new(), 1), Err(Shortage { part: 0, found: 0 }));
        assert_eq!(choose(&[], Vec::new(), 1), Ok(Vec::new()));
    }
}
