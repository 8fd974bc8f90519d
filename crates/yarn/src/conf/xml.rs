//! Reading of one configuration file: properties in element and attribute form, XInclude, entities.
//! Owns syntax; which value wins is [`HadoopConf`](super::HadoopConf)'s.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// How deep elements, and how deep files, may nest.
const MAX_DEPTH: usize = 32;

/// How deep entities in attributes may refer to each other.
const ENTITY_DEPTH: usize = 8;

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum XmlError {
    /// The file could not be opened.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what a configuration file can be.
    #[error("{}:{line}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

/// One property as a file says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Property {
    pub name: String,
    pub value: String,
    pub is_final: bool,
    pub file: PathBuf,
    pub line: usize,
}

/// An element with all that is in it.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: HashMap<String, String>,
    text: String,
    children: Vec<Element>,
    line: usize,
}

impl Element {
    fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// What a property says about `name`: a child element, else an attribute.
    fn part(&self, name: &str) -> Option<&str> {
        self.child(name)
            .map(|child| child.text.as_str())
            .or_else(|| self.attributes.get(name).map(String::as_str))
    }
}

/// Every property of a file and of those that it includes, in order.
pub(super) fn read(path: &Path) -> Result<Vec<Property>, XmlError> {
    let mut properties = Vec::new();
    File { path, depth: 0 }.read_into(&mut properties)?;
    Ok(properties)
}

struct File<'a> {
    path: &'a Path,
    depth: usize,
}

impl File<'_> {
    fn read_into(&self, properties: &mut Vec<Property>) -> Result<(), XmlError> {
        let text = std::fs::read_to_string(self.path)
            .map_err(|source| XmlError::Read { path: self.path.to_owned(), source })?;
        let root = Parser::new(self.path, &text).document()?;
        if root.name != "configuration" {
            return Err(self
                .malformed(root.line, format!("the root element is <{}>, not <configuration>", root.name)));
        }
        self.collect(&root, properties)
    }

    fn malformed(&self, line: usize, reason: String) -> XmlError {
        XmlError::Malformed { path: self.path.to_owned(), line, reason }
    }

    fn collect(&self, element: &Element, properties: &mut Vec<Property>) -> Result<(), XmlError> {
        for child in &element.children {
            match child.name.as_str() {
                "property" => properties.extend(self.property(child)?),
                "configuration" => self.collect(child, properties)?,
                "include" => self.include(child, properties)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn property(&self, element: &Element) -> Result<Option<Property>, XmlError> {
        let name = element.part("name").map(str::trim).unwrap_or_default();
        if name.is_empty() {
            return Err(self.malformed(element.line, "a <property> has no <name>".to_owned()));
        }
        // Without a value the property says nothing, as in Hadoop.
        Ok(element.part("value").map(|value| Property {
            name: name.to_owned(),
            value: value.to_owned(),
            is_final: element.part("final").is_some_and(|text| text.trim() == "true"),
            file: self.path.to_owned(),
            line: element.line,
        }))
    }

    /// `<xi:include href>`, relative to this file; a missing file is an error unless there is a fallback.
    fn include(&self, element: &Element, properties: &mut Vec<Property>) -> Result<(), XmlError> {
        let href = element.attributes.get("href");
        let href = href.ok_or_else(|| self.malformed(element.line, "an include has no href".to_owned()))?;
        if self.depth >= MAX_DEPTH {
            return Err(self.malformed(
                element.line,
                format!("includes nest deeper than {MAX_DEPTH} files: does one include itself?"),
            ));
        }
        let href = href.strip_prefix("file://").unwrap_or(href);
        let path = self.path.parent().unwrap_or(Path::new("")).join(href);
        match (path.is_file(), element.child("fallback")) {
            (true, _) => File { path: &path, depth: self.depth + 1 }.read_into(properties),
            (false, Some(fallback)) => self.collect(fallback, properties),
            (false, None) => {
                let reason =
                    format!("the included file {} does not exist (and there is no fallback)", path.display());
                Err(self.malformed(element.line, reason))
            }
        }
    }
}

/// From text to elements.
struct Parser<'a> {
    path: &'a Path,
    text: &'a str,
    reader: Reader<&'a [u8]>,
    entities: HashMap<String, String>,
}

impl<'a> Parser<'a> {
    fn new(path: &'a Path, text: &'a str) -> Self {
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        Self { path, text, reader, entities: HashMap::new() }
    }

    fn malformed(&self, reason: impl ToString) -> XmlError {
        let at =
            (self.reader.error_position().max(self.reader.buffer_position()) as usize).min(self.text.len());
        XmlError::Malformed { path: self.path.to_owned(), line: self.line_at(at), reason: reason.to_string() }
    }

    fn line_at(&self, at: usize) -> usize {
        self.text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1
    }

    fn document(mut self) -> Result<Element, XmlError> {
        let mut open: Vec<Element> = Vec::new();
        loop {
            let event = self.reader.read_event().map_err(|error| self.malformed(error))?;
            match event {
                Event::Start(start) => {
                    if open.len() >= MAX_DEPTH {
                        return Err(self.malformed(format!("elements nest deeper than {MAX_DEPTH}")));
                    }
                    open.push(self.element(&start)?);
                }
                Event::End(_) => {
                    if let Some(root) = close(&mut open) {
                        return Ok(root);
                    }
                }
                Event::Eof => {
                    return Err(self.malformed("the file ends inside an element, or has none"));
                }
                other => self.content(other, open.last_mut())?,
            }
        }
    }

    fn content(&mut self, event: Event<'a>, into: Option<&mut Element>) -> Result<(), XmlError> {
        let text = match event {
            Event::Text(text) => text.xml10_content().into_owned(),
            Event::CData(text) => text.xml10_content().into_owned(),
            Event::GeneralRef(reference) => {
                let character = reference.resolve_char_ref().map_err(|error| self.malformed(error))?;
                let name = reference.xml10_content();
                character
                    .map(String::from)
                    .or_else(|| self.entity(&name))
                    .ok_or_else(|| self.malformed(format!("the entity &{name}; is unknown")))?
            }
            Event::DocType(declaration) => {
                self.declare(&declaration);
                return Ok(());
            }
            _ => return Ok(()),
        };
        if let Some(element) = into {
            element.text.push_str(&text);
        }
        Ok(())
    }

    fn element(&self, start: &BytesStart<'_>) -> Result<Element, XmlError> {
        let mut attributes = HashMap::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| self.malformed(error))?;
            let known = |name: &str| self.entities.get(name).map(String::as_str).or_else(|| predefined(name));
            let value = attribute.normalized_value_with(XmlVersion::Implicit1_0, ENTITY_DEPTH, known);
            let value = value.map_err(|error| self.malformed(error))?.into_owned();
            attributes.insert(attribute.key.local_name().as_ref().to_owned(), value);
        }
        let name = start.local_name().as_ref().to_owned();
        let line = self.line_at((self.reader.buffer_position() as usize).min(self.text.len()));
        Ok(Element { name, attributes, line, ..Element::default() })
    }

    fn entity(&self, name: &str) -> Option<String> {
        predefined(name).map(str::to_owned).or_else(|| self.entities.get(name).cloned())
    }

    /// Internal entities of a document type: `<!ENTITY name "text">`. External ones are not fetched.
    fn declare(&mut self, declaration: &str) {
        for part in declaration.split("<!ENTITY").skip(1) {
            let Some((name, rest)) = part.trim_start().split_once(char::is_whitespace) else {
                continue;
            };
            let rest = rest.trim_start();
            let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
                continue;
            };
            if let Some((value, _)) = rest[1..].split_once(quote) {
                self.entities.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

fn predefined(name: &str) -> Option<&'static str> {
    Some(match name {
        "lt" => "<",
        "gt" => ">",
        "amp" => "&",
        "apos" => "'",
        "quot" => "\"",
        _ => return None,
    })
}

/// Ends the innermost element; gives the root when that was it.
fn close(open: &mut Vec<Element>) -> Option<Element> {
    let done = open.pop()?;
    match open.last_mut() {
        Some(parent) => {
            parent.children.push(done);
            None
        }
        None => Some(done),
    }
}

#[cfg(test)]
pub(super) fn parse_for_test(text: &str) -> Result<(), XmlError> {
    Parser::new(Path::new("test.xml"), text).document().map(drop)
}
