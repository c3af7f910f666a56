//! pkilint judges by the letter of RFC 5280.

use crate::python;
use crate::specimens::Specimens;

pub(crate) fn judge(specimens: &Specimens) -> anyhow::Result<()> {
    python::script("pkilint_report.py", &specimens.to_json()?)?.success()?;
    Ok(())
}
