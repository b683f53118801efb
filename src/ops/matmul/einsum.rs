//! Sums of products by Einstein's convention: parses an equation and contracts its operands pair by pair.

use crate::error::{Error, Result};
use crate::graph::{Tensor, ascribe_to_caller};
use crate::number::nearest;
use crate::ops::autocast;
use crate::ops::case::Case;
use crate::ops::matmul::linear_algebra::same_type;
use crate::shape::Shape;

const OP: &str = "einsum";

/// A dimension's name: upper case letters, then lower case letters, then the dimensions of an ellipsis.
type Label = usize;

/// Letters of both cases.
const LETTERS: Label = 52;

/// The subscripts of an operand or of the output.
#[derive(Default)]
struct Subscripts {
    labels: Vec<Label>,
    /// The position of the ellipsis among the labels.
    ellipsis: Option<usize>,
}

impl Subscripts {
    fn parse(text: &str) -> Result<Subscripts> {
        let mut subscripts = Subscripts::default();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("...") {
                if subscripts.ellipsis.is_some() {
                    return Err(Error::invalid(OP, format!("{text:?} has two ellipses")));
                }
                subscripts.ellipsis = Some(subscripts.labels.len());
                rest = after;
                continue;
            }
            match first {
                ' ' => {}
                'A'..='Z' => subscripts.labels.push(first as usize - 'A' as usize),
                'a'..='z' => subscripts.labels.push(first as usize - 'a' as usize + LETTERS / 2),
                _ => {
                    let rule = format!("{first:?} in {text:?} is neither a letter nor part of \"...\"");
                    return Err(Error::invalid(OP, rule));
                }
            }
            rest = &rest[first.len_utf8()..];
        }
        Ok(subscripts)
    }

    /// The labels of all dimensions: the ellipsis means `length` of them, the last of `longest`.
    fn spelled_out(&self, length: usize, longest: usize) -> Vec<Label> {
        let mut labels = self.labels.clone();
        if let Some(at) = self.ellipsis {
            labels.splice(at..at, LETTERS + longest - length..LETTERS + longest);
        }
        labels
    }
}

/// A label as in the equation.
fn letter(label: Label) -> String {
    match label {
        0..26 => char::from(b'A' + nearest::<u8>(label)).to_string(),
        26..LETTERS => char::from(b'a' + nearest::<u8>(label - 26)).to_string(),
        _ => "...".to_string(),
    }
}

/// A tensor whose dimensions have distinct names.
struct Term {
    tensor: Tensor,
    labels: Vec<Label>,
}

impl Term {
    /// Dimensions of one name become their diagonal.
    #[track_caller]
    fn new(tensor: &Tensor, labels: Vec<Label>, number: usize) -> Result<Term> {
        let mut term = Term { tensor: tensor.clone(), labels };
        while let Some((i, j)) = term.repeated() {
            let shape = *term.tensor.shape();
            let (label, size) = (term.labels[i], shape[i]);
            if shape[j] != size {
                let rule = format!(
                    "{:?} stands for sizes {size} and {} of operand {number}, {}",
                    letter(label),
                    shape[j],
                    tensor.shape()
                );
                return Err(Error::invalid(OP, rule));
            }
            let others: Vec<usize> = (0..shape.len()).filter(|&d| d != i && d != j).collect();
            let order: Vec<usize> = others.iter().chain(&[i, j]).copied().collect();
            let mut sizes: Vec<usize> = others.iter().map(|&d| shape[d]).collect();
            sizes.push(size * size);
            let flat = term.tensor.permute(&order)?.reshape_to(Shape::new(&sizes)?)?;
            let tensor = flat.slice(-1, 0, (size * size) as isize, size + 1)?;
            let labels = others.iter().map(|&d| term.labels[d]).chain([label]).collect();
            term = Term { tensor, labels };
        }
        Ok(term)
    }

    fn repeated(&self) -> Option<(usize, usize)> {
        let labels = &self.labels;
        (0..labels.len()).find_map(|j| labels[..j].iter().position(|label| *label == labels[j]).map(|i| (i, j)))
    }

    fn has(&self, label: Label) -> bool {
        self.labels.contains(&label)
    }

    fn size(&self, label: Label) -> usize {
        self.labels.iter().position(|&l| l == label).map_or(1, |d| self.tensor.shape()[d])
    }

    /// Drops its dimensions of size 1 that are larger elsewhere.
    #[track_caller]
    fn unstretched(self, sizes: &[usize]) -> Result<Term> {
        let kept: Vec<Label> = self.labels.iter().copied().filter(|&l| self.size(l) != 1 || sizes[l] == 1).collect();
        let tensor = self.tensor.reshape_to(Shape::new(&kept.iter().map(|&l| self.size(l)).collect::<Vec<_>>())?)?;
        Ok(Term { tensor, labels: kept })
    }

    /// Summed over the dimensions that are not wanted.
    #[track_caller]
    fn summed(self, wanted: impl Fn(Label) -> bool) -> Result<Term> {
        let dims: Vec<usize> = (0..self.labels.len()).filter(|&d| !wanted(self.labels[d])).collect();
        if dims.is_empty() {
            return Ok(self);
        }
        let tensor = self.tensor.sum(&dims)?;
        Ok(Term { tensor, labels: self.labels.into_iter().filter(|&l| wanted(l)).collect() })
    }

    /// With its dimensions in this order.
    #[track_caller]
    fn ordered(&self, labels: &[Label]) -> Result<Tensor> {
        let order: Vec<usize> = labels.iter().filter_map(|l| self.labels.iter().position(|m| m == l)).collect();
        if order.windows(2).all(|pair| pair[0] < pair[1]) {
            Ok(self.tensor.clone())
        } else {
            self.tensor.permute(&order)
        }
    }

    /// In this order, with the dimensions of each group merged.
    #[track_caller]
    fn grouped<const N: usize>(&self, groups: [&[Label]; N]) -> Result<Tensor> {
        let sizes = groups.map(|group| group.iter().map(|&label| self.size(label)).product());
        self.ordered(&groups.concat())?.reshape_to(Shape::new(&sizes)?)
    }

    /// The product of two terms, summed over shared dimensions unless these are needed later.
    #[track_caller]
    fn contracted(self, other: Term, wanted: impl Fn(Label) -> bool) -> Result<Term> {
        let left = self.summed(|label| wanted(label) || other.has(label))?;
        let right = other.summed(|label| wanted(label) || left.has(label))?;
        let (shared, rows): (Vec<Label>, Vec<Label>) = left.labels.iter().partition(|&&label| right.has(label));
        let (batch, depth): (Vec<Label>, Vec<Label>) = shared.into_iter().partition(|&label| wanted(label));
        let columns: Vec<Label> = right.labels.iter().copied().filter(|&label| !left.has(label)).collect();
        let of = |term: &Term, group: &[Label]| group.iter().map(|&label| term.size(label)).product::<usize>();
        let (rows_size, depth_size, columns_size) = (of(&left, &rows), of(&left, &depth), of(&right, &columns));
        let product = if depth_size == 1 {
            (left.grouped([&batch, &rows, &depth])? * right.grouped([&batch, &depth, &columns])?)?
        } else if !left.tensor.dtype().is_float() {
            let left = left.grouped([&batch, &rows, &[], &depth])?;
            (&left * right.grouped([&batch, &[], &columns, &depth])?)?.sum(3)?
        } else if rows_size == 1 && columns_size == 1 {
            (left.grouped([&batch, &depth])? * right.grouped([&batch, &depth])?)?.sum(1)?
        } else {
            left.grouped([&batch, &rows, &depth])?.matmul(&right.grouped([&batch, &depth, &columns])?)?
        };
        let size = |&label: &Label| if left.has(label) { left.size(label) } else { right.size(label) };
        let labels = [batch, rows, columns].concat();
        let tensor = product.reshape_to(Shape::new(&labels.iter().map(size).collect::<Vec<_>>())?)?;
        Ok(Term { tensor, labels })
    }
}

/// The size of each label in all of the terms: 1 broadcasts.
fn joint_sizes(equation: &str, terms: &[Term]) -> Result<Vec<usize>> {
    let most = terms.iter().flat_map(|term| &term.labels).max().map_or(0, |label| label + 1);
    let mut sizes = vec![1; most];
    for term in terms {
        for &label in &term.labels {
            let (known, size) = (sizes[label], term.size(label));
            if known != 1 && size != 1 && known != size {
                let rule = format!("{:?} in {equation:?} stands for sizes {known} and {size}", letter(label));
                return Err(Error::invalid(OP, rule));
            }
            if known == 1 {
                sizes[label] = size;
            }
        }
    }
    Ok(sizes)
}

impl Tensor {
    /// A sum of products by Einstein's convention, as PyTorch's `einsum`: `"ij,jk->ik"` is a product of matrices.
    ///
    /// Each operand has its subscripts, one letter a dimension; the result has those behind the arrow, summed over all others. A
    /// letter twice in an operand takes its diagonal. `...` means any number of dimensions, which broadcast; so do dimensions of
    /// size 1 under a letter. Without an arrow the result has the dimensions of the ellipsis and then the letters that appear
    /// once, upper case first, in alphabetical order. Spaces are ignored.
    ///
    /// Operands are contracted from left to right, by products of matrices if there are sums. The result of each step may have at
    /// most six dimensions.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the equation is malformed or does not fit the operands; [`Error::TooManyDimensions`]; as
    /// [`matmul`](Tensor::matmul) and [`mul`](Tensor::mul).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0], &[2, 2])?;
    /// assert_eq!(Tensor::einsum("ij,kj->ik", &[&x, &x])?.to_vec::<f32>()?, [5.0, 11.0, 11.0, 25.0]);
    /// assert_eq!(Tensor::einsum("ii", &[&x])?.item::<f32>()?, 5.0);
    /// assert_eq!(Tensor::einsum("...i->i...", &[&x])?.to_vec::<f32>()?, [1.0, 3.0, 2.0, 4.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn einsum(equation: &str, operands: &[&Tensor]) -> Result<Tensor> {
        if let Some(cast) = autocast::enter(OP)? {
            return Tensor::einsum(equation, &cast.all(operands)?.iter().collect::<Vec<_>>());
        }
        let _line = ascribe_to_caller();
        let (left, right) = match equation.split_once("->") {
            Some((left, right)) => (left, Some(Subscripts::parse(right)?)),
            None => (equation, None),
        };
        let inputs: Vec<Subscripts> = left.split(',').map(Subscripts::parse).collect::<Result<_>>()?;
        if operands.is_empty() || inputs.len() != operands.len() {
            let rule = format!("{equation:?} is for {} operands, not {}", inputs.len(), operands.len());
            return Err(Error::invalid(OP, rule));
        }
        same_type(OP, operands)?;
        // The number of dimensions of each ellipsis.
        let mut lengths = Vec::new();
        for (number, (subscripts, operand)) in inputs.iter().zip(operands).enumerate() {
            let named = subscripts.labels.len();
            match operand.rank().checked_sub(named) {
                Some(length) if length == 0 || subscripts.ellipsis.is_some() => lengths.push(length),
                _ => {
                    let rule = format!(
                        "{equation:?} has {named} subscripts for operand {number}, whose shape is {}",
                        operand.shape()
                    );
                    return Err(Error::invalid(OP, rule));
                }
            }
        }
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let spelled: Vec<Vec<Label>> =
            inputs.iter().zip(&lengths).map(|(subscripts, &length)| subscripts.spelled_out(length, longest)).collect();
        let output = output_labels(equation, right, &spelled, longest)?;
        let mut terms = Vec::new();
        for (number, (labels, operand)) in spelled.into_iter().zip(operands).enumerate() {
            terms.push(Term::new(operand, labels, number)?);
        }
        let sizes = joint_sizes(equation, &terms)?;
        let mut terms: Vec<Term> = terms.into_iter().map(|term| term.unstretched(&sizes)).collect::<Result<_>>()?;
        let mut result = terms.remove(0);
        while !terms.is_empty() {
            let next = terms.remove(0);
            let wanted = |label| output.contains(&label) || terms.iter().any(|term| term.has(label));
            result = result.contracted(next, wanted)?;
        }
        result.summed(|label| output.contains(&label))?.ordered(&output)
    }
}

/// The labels of the result, given or found by the convention.
fn output_labels(
    equation: &str,
    given: Option<Subscripts>,
    inputs: &[Vec<Label>],
    longest: usize,
) -> Result<Vec<Label>> {
    let uses = |label: Label| inputs.iter().flatten().filter(|&&l| l == label).count();
    let Some(given) = given else {
        let letters = (0..LETTERS).filter(|&label| uses(label) == 1);
        return Ok((LETTERS..LETTERS + longest).chain(letters).collect());
    };
    let output = given.spelled_out(longest, longest);
    for (d, &label) in output.iter().enumerate() {
        if output[..d].contains(&label) {
            return Err(Error::invalid(OP, format!("the result of {equation:?} has {:?} twice", letter(label))));
        }
        if uses(label) == 0 {
            let rule = format!("the result of {equation:?} has {:?}, which no operand has", letter(label));
            return Err(Error::invalid(OP, rule));
        }
    }
    Ok(output)
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let sum = |equation: &'static str, shapes: &[&[usize]]| {
        Case::new(OP, shapes, move |x| Ok(vec![Tensor::einsum(equation, &x.iter().collect::<Vec<_>>())?]))
            .with("equation", equation)
    };
    vec![
        sum("ij,jk->ik", &[&[5, 7], &[7, 3]]),
        sum("ij,jk", &[&[5, 7], &[7, 3]]),
        sum("bij,bjk->bik", &[&[2, 3, 4], &[2, 4, 5]]),
        sum("bij,bkj->ikb", &[&[2, 3, 4], &[2, 5, 4]]),
        sum("ba", &[&[3, 4]]),
        sum("bA", &[&[3, 4]]),
        sum("ii->i", &[&[5, 5]]),
        sum("ijij->j", &[&[3, 4, 3, 4]]),
        sum("iii", &[&[4, 4, 4]]),
        sum("i,j->ij", &[&[5], &[7]]),
        sum("i,i->", &[&[11], &[11]]),
        sum("bi,bi->b", &[&[4, 11], &[4, 11]]),
        sum("ij,k->i", &[&[3, 4], &[5]]),
        sum("...ij,...jk->...ik", &[&[2, 1, 3, 4], &[3, 4, 5]]),
        sum("... i , ... i", &[&[2, 3, 4], &[4]]),
        sum("i...->...", &[&[3, 2, 4]]),
        sum("...->", &[&[2, 3]]),
        sum("ij,ij->ij", &[&[3, 1], &[1, 4]]),
        sum("ij,jk->ik", &[&[3, 1], &[4, 5]]),
        sum("bn,anm,bm->ba", &[&[2, 5], &[3, 5, 7], &[2, 7]]),
        sum("ab,bc,cd,de->ae", &[&[2, 3], &[3, 4], &[4, 5], &[5, 2]]),
        sum("ij,jk->ik", &[&[3, 0], &[0, 2]]),
        sum("->", &[&[]]),
        sum("ij,jk->ki", &[&[4, 6], &[6, 3]]).integers(0, -9, 9).integers(1, -9, 9).no_gradient(),
    ]
}
