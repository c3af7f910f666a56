//! Python's cryptography judges.

use crate::python;
use crate::specimens::Specimens;

pub(crate) fn judge(specimens: &Specimens) -> anyhow::Result<()> {
    python::script("pyca.py", &specimens.to_json()?)?.success()?;
    Ok(())
}
