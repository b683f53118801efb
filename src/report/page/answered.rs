//! A classifier's answers on a page.

use super::super::answers::{Answer, Answers, ClassScore, Tally, mistakes};
use super::super::drawing::{Drawing, escape};
use super::sections::{figure, percent, section, table};
use super::{Mistake, document};
use crate::data::Image;
use crate::error::Result;
use crate::file;
use crate::logs::text::short;
use std::path::Path;

/// Wrong answers on the page.
const MISTAKES: usize = 24;

/// Gives the image of an item.
pub(in crate::report) type Images<'a> = Box<dyn Fn(usize) -> Result<Image> + 'a>;

/// The answers of an evaluation, as a page shows them.
#[derive(Default)]
pub(in crate::report) struct Answered<'a> {
    classes: &'a [String],
    /// None before the first evaluation.
    tally: Option<Tally>,
    /// ROC and precision-recall curves.
    ranking: Vec<Drawing>,
    mistakes: Vec<Mistake>,
}

impl<'a> Answered<'a> {
    /// The content for `read`, the answers of `answers`.
    pub fn new(answers: &'a Answers, read: &[Answer], images: Option<&Images>) -> Result<Answered<'a>> {
        if read.is_empty() {
            return Ok(Answered { classes: answers.classes(), ..Answered::default() });
        }
        let mistake = |answer: Answer| {
            let image = images.map(|images| images(answer.item)).transpose()?;
            Mistake::new(answer, image.as_ref())
        };
        Ok(Answered {
            classes: answers.classes(),
            tally: Some(answers.tally(read)),
            ranking: answers.curves()?,
            mistakes: mistakes(read, MISTAKES).into_iter().map(mistake).collect::<Result<_>>()?,
        })
    }

    /// The sections of the page.
    pub fn sections(&self) -> Result<String> {
        Ok([self.confusion()?, self.by_class(), self.mistakes()].concat())
    }

    /// The matrix, the pairs that are most often mistaken, the calibration, ROC and precision-recall curves.
    fn confusion(&self) -> Result<String> {
        let Some(tally) = &self.tally else { return Ok(String::new()) };
        let pair = |&(truth, prediction, number): &(usize, usize, f64)| {
            let name = |class: usize| escape(&self.classes[class]);
            format!("<tr><td>{} taken for {}</td><td>{number}</td></tr>\n", name(truth), name(prediction))
        };
        let pairs: String = tally.confusions(10).iter().map(pair).collect();
        let pairs = match pairs.is_empty() {
            true => String::new(),
            false => format!(
                "<div class=\"scroll\"><table>\n<thead><tr><th>Most frequent mistakes</th><th>times</th></tr></thead>\n\
                 <tbody>\n{pairs}</tbody>\n</table></div>\n"
            ),
        };
        let matrix = tally.matrix(self.classes)?.svg()?;
        let calibration = tally.reliability();
        let charts = std::iter::once(&calibration).chain(&self.ranking);
        let charts = charts.map(|drawing| figure(&drawing.svg()?)).collect::<Result<String>>()?;
        let body = format!(
            "<div class=\"scroll\">\n{matrix}</div>\n<div class=\"charts\">\n<div>{pairs}</div>\n{charts}</div>\n"
        );
        Ok(section("Right and wrong answers", &body))
    }

    /// A table that a click on a heading sorts.
    fn by_class(&self) -> String {
        let Some(tally) = &self.tally else { return String::new() };
        let row = |(name, score): (&String, ClassScore)| {
            let numbers = [score.support, score.precision, score.recall, score.f1];
            let cells: String = numbers.iter().map(|n| format!("<td data-value=\"{n}\">{}</td>", short(*n))).collect();
            format!("<tr><td>{}</td>{cells}</tr>\n", escape(name))
        };
        let rows: String = self.classes.iter().zip(tally.scores()).map(row).collect();
        let headings: String = ["class", "images", "precision", "recall", "F1"]
            .iter()
            .map(|name| format!("<th><button type=\"button\">{name}</button></th>"))
            .collect();
        let table = format!(
            "<div class=\"scroll\"><table>\n<thead><tr>{headings}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
        );
        section("Metrics by class", &table)
    }

    /// Pictures of wrong answers with high confidence.
    fn mistakes(&self) -> String {
        let figure = |mistake: &Mistake| {
            let answer = mistake.answer;
            let name = |class: usize| self.classes.get(class).map_or_else(|| class.to_string(), |name| escape(name));
            let (truth, prediction) = (name(answer.truth), name(answer.prediction));
            let picture = mistake.picture.as_ref().map_or_else(String::new, |(address, pixelated)| {
                let class = if *pixelated { " class=\"pixels\"" } else { "" };
                format!("<img{class} src=\"{address}\" alt=\"item {}, {truth}\">\n", answer.item)
            });
            format!(
                "<figure>\n{picture}<figcaption><b>{prediction}</b> <span>{}</span><br><span>is</span> {truth}<br>\
                 <span>item {}</span></figcaption>\n</figure>\n",
                percent(answer.confidence),
                answer.item
            )
        };
        let figures: String = self.mistakes.iter().map(figure).collect();
        section(
            "Worst mistakes",
            &if figures.is_empty() { figures } else { format!("<div class=\"pictures\">\n{figures}</div>\n") },
        )
    }
}

/// A page about a classifier's answers, one self-contained file, readable offline: scores, confusion matrix, calibration, ROC and
/// precision-recall curves, metrics by class, and the worst mistakes as pictures.
///
/// ```
/// use wgrad::metrics::Metric;
/// use wgrad::report::{Answers, AnswersPage};
/// # use wgrad::{Device, Tensor};
/// # let device = Device::reference();
/// # let folder = tempfile::tempdir().unwrap();
/// let mut answers = Answers::new(vec!["cat".to_string(), "dog".to_string()]);
/// let logits = Tensor::from_slice(&device, &[2.0f32, 0.0, 0.0, 1.0], &[2, 2])?;
/// answers.update(&logits, &Tensor::from_slice(&device, &[0, 0], &[2])?)?;
/// let page = AnswersPage::new("Cats and dogs", "two pictures", &answers);
/// page.scores(vec![("accuracy".to_string(), "0.5".to_string())]).save(&folder.path().join("answers.html"))?;
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct AnswersPage<'a> {
    title: String,
    about: String,
    answers: &'a Answers,
    images: Option<Images<'a>>,
    scores: Vec<(String, String)>,
}

impl<'a> AnswersPage<'a> {
    /// A page with a title, and a line below it.
    pub fn new(title: impl Into<String>, about: impl Into<String>, answers: &'a Answers) -> AnswersPage<'a> {
        AnswersPage { title: title.into(), about: about.into(), answers, images: None, scores: Vec::new() }
    }

    /// Shows wrong answers with the images of their items, by position among the answers.
    #[must_use = "it returns the page with the images"]
    pub fn images(self, images: impl Fn(usize) -> Result<Image> + 'a) -> AnswersPage<'a> {
        AnswersPage { images: Some(Box::new(images)), ..self }
    }

    /// Begins with a table of names and values.
    #[must_use = "it returns the page with the table"]
    pub fn scores(self, scores: Vec<(String, String)>) -> AnswersPage<'a> {
        AnswersPage { scores, ..self }
    }

    /// Waits for the answers, and writes the file.
    ///
    /// # Errors
    /// Those of [`Answers::read`] and of the images; [`Error::File`](crate::Error::File).
    pub fn save(&self, path: &Path) -> Result<()> {
        let answered = Answered::new(self.answers, &self.answers.read()?, self.images.as_ref())?;
        let scores = if self.scores.is_empty() { String::new() } else { section("Scores", &table(&self.scores)) };
        let page = document(&self.title, &self.about, &format!("{scores}{}", answered.sections()?));
        file::replace(path, page.as_bytes())
    }
}
