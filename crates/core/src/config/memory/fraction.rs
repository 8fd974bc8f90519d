//! Fractions of sizes with the rounding that Flink has: `BigDecimal.valueOf(double)` times bytes, cut off.
//!
//! The options are read as `float` and widened, so that 0.1 is 0.10000000149011612; the product is exact in decimal and
//! its fraction is dropped. Done here in whole numbers.

/// `bytes × factor` in exact decimal arithmetic, rounded down. `factor` is finite and not negative.
pub(super) fn times(bytes: u64, factor: f64) -> u64 {
    let (mantissa, scale) = decimal(factor);
    // 17 digits times 20 digits stay below 2^127.
    let product = u128::from(bytes) * mantissa / 10u128.pow(scale);
    u64::try_from(product).unwrap_or(u64::MAX)
}

/// The shortest decimal that reads back as this number, as digits and the number of them after the point.
fn decimal(factor: f64) -> (u128, u32) {
    let text = format!("{factor}");
    let (whole, digits) = text.split_once('.').unwrap_or((&text, ""));
    // A double has at most 17 significant digits; leading zeros of tiny numbers are cut to what cannot matter.
    let digits = &digits[..digits.len().min(20)];
    let mantissa = format!("{whole}{digits}").parse().unwrap_or(0);
    (mantissa, u32::try_from(digits.len()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_is_cut_off_not_rounded() {
        assert_eq!(times(1_342_177_280, f64::from(0.1f32)), 134_217_730);
        assert_eq!(times(1_342_177_280, f64::from(0.4f32)), 536_870_920);
        assert_eq!(times(17_179_869_184, 0.0), 0);
        assert_eq!(times(10, 1.0), 10);
        assert_eq!(times(u64::MAX, 3.0), u64::MAX);
    }
}
