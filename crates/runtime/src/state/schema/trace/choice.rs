//! The variants of an enum, and which of them is read next.
//!
//! Variants are read by index, as they are laid out. `serde` hands over a list of names and aliases; where that is longer
//! than there are variants, each name is read too, to see whose it is.

use super::types::{Content, Types};

/// Which variant is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pick {
    /// By its index.
    Index(usize),
    /// By a name, as its position in the list.
    Name(usize),
}

/// One variant, as far as it is known.
#[derive(Debug, Clone, Default)]
struct Known {
    hash: Option<u64>,
    content: Content,
    /// How often it was read.
    readings: usize,
    /// When a reading first came to its end, counted over all types.
    ended: Option<usize>,
}

/// All variants of an enum, as far as they are known.
#[derive(Debug, Clone)]
pub(super) struct Choices {
    list: &'static [&'static str],
    /// Hash of the identifier behind each name of the list, where names had to be read.
    name_hashes: Vec<Option<u64>>,
    variants: Vec<Known>,
    /// There are more names than variants.
    aliases: bool,
}

impl Choices {
    pub fn new(list: &'static [&'static str]) -> Choices {
        let variants = vec![Known::default(); list.len()];
        Choices { list, name_hashes: vec![None; list.len()], variants, aliases: false }
    }

    /// Whether each variant and each name was met.
    pub fn all_met(&self) -> bool {
        self.variants.iter().all(|v| v.hash.is_some() && v.ended.is_some())
            && (!self.aliases || self.name_hashes.iter().all(Option::is_some))
    }

    pub fn contents(&self) -> impl Iterator<Item = &Content> {
        self.variants.iter().map(|variant| &variant.content)
    }

    /// Names and content of each variant, by index.
    pub fn named(&self) -> impl Iterator<Item = (Vec<String>, &Content)> {
        self.variants.iter().enumerate().map(|(index, variant)| (self.names(index), &variant.content))
    }

    fn names(&self, index: usize) -> Vec<String> {
        if !self.aliases {
            return vec![self.list[index].to_string()];
        }
        let hash = self.variants[index].hash;
        let same = self.list.iter().zip(&self.name_hashes).filter(|(_, other)| **other == hash);
        same.map(|(name, _)| (*name).to_string()).collect()
    }

    /// The name at a position of the list.
    pub fn name(&self, position: usize) -> &'static str {
        self.list[position]
    }

    /// The next variant to read. `short`: one that ends.
    pub fn pick(&self, short: bool, types: &Types, index: usize) -> Pick {
        if short {
            return Pick::Index(self.short(types.pass, index));
        }
        if let Some(new) = self.variants.iter().position(|v| v.readings == 0) {
            return Pick::Index(new);
        }
        if let Some(name) = self.name_hashes.iter().position(Option::is_none).filter(|_| self.aliases) {
            return Pick::Name(name);
        }
        let open = |v: &&(usize, &Known)| v.1.ended.is_none() || !types.is_content_complete(&v.1.content);
        let all: Vec<(usize, &Known)> = self.variants.iter().enumerate().collect();
        let open = all.iter().filter(open).min_by_key(|(_, v)| v.readings);
        Pick::Index(open.map_or_else(|| self.short(types.pass, index), |(i, _)| *i))
    }

    /// The variant that was the first to end: all that it holds ended before it, so that following these always ends. Where
    /// none is known, another one in each pass.
    fn short(&self, pass: usize, index: usize) -> usize {
        let guess = (pass.wrapping_mul(0x9e37_79b9).wrapping_add(index.wrapping_mul(0x85eb_ca6b)) >> 8)
            % self.variants.len().max(1);
        let ended = self.variants.iter().enumerate().filter_map(|(i, v)| Some((v.ended?, i)));
        ended.min().map_or(guess, |(_, i)| i)
    }

    /// The identifier that a pick was read as. Returns the index of the variant, or none where that is not known yet.
    pub fn met(&mut self, pick: Pick, hash: u64) -> Option<usize> {
        match pick {
            Pick::Name(position) => {
                self.name_hashes[position] = Some(hash);
                self.variants.iter().position(|v| v.hash == Some(hash))
            }
            Pick::Index(index) => {
                let earlier = self.variants[..index].iter().position(|v| v.hash == Some(hash));
                if earlier.is_some() {
                    self.end_at(index);
                    return earlier;
                }
                self.variants[index].hash = Some(hash);
                self.variants[index].readings += 1;
                Some(index)
            }
        }
    }

    /// There is no variant with this index, nor any behind it.
    pub fn end_at(&mut self, index: usize) {
        self.variants.truncate(index);
        self.aliases = true;
    }

    pub fn content(&mut self, index: usize) -> &mut Content {
        &mut self.variants[index].content
    }

    /// A reading of a variant came to its end.
    pub fn ended(&mut self, index: usize, when: usize) {
        self.variants[index].ended.get_or_insert(when);
    }
}
