"""The papers that the biophysical parameters come from."""

from enum import StrEnum


class Paper(StrEnum):
    """The paper that gives a value. A value from no paper has the source `rmaat.base.records.Source.OURS`."""

    LI_RINZEL = "Li and Rinzel 1994, doi:10.1006/jtbi.1994.1041, as NEST's astrocyte_lr_1994 has it"
    DE_PITTA = "after De Pittà et al. 2009, doi:10.1007/s10867-009-9155-y; the value is ours"
    STIMBERG = "Stimberg, Goodman, Brette and De Pittà 2019, doi:10.1101/198366"
    TSODYKS = "Tsodyks, Pawelzik and Markram 1998, doi:10.1162/089976698300017502; values of doi:10.1101/198366"
    GRAUPNER = "Graupner and Brunel 2012, doi:10.1073/pnas.1109359109, table S2, as the authors' own code has it"
