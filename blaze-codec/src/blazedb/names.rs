//! Names of fields: one byte for the usual ones, else their text.

use super::cursor::Cursor;
use super::{BlazeDbError, BlazeDbErrorKind};
use crate::Name;

/// Precedes a length of 16 bits and a name.
const SPELT: u8 = 0xff;

/// The usual names; the first is key 1.
#[rustfmt::skip]
const TABLE: [&str; 58] = [
    "id", "createdAt", "updatedAt", "userId", "teamId", "title", "description", "status",
    "priority", "assignedTo", "tags", "completedAt", "dueDate", "startDate", "category", "name",
    "email", "password", "username", "firstName", "lastName", "age", "phone", "address",
    "city", "state", "zip", "country", "organizationId", "projectId", "taskId", "bugId",
    "issueId", "commentId", "attachmentId", "versionId", "parentId", "childIds", "metadata",
    "config", "settings", "preferences", "type", "kind", "label", "value", "count", "total",
    "sum", "average", "min", "max", "isActive", "isDeleted", "isPublic", "isPrivate",
    "isArchived", "isFavorite",
];

/// Reads the key of a record's field.
pub(super) fn read_key(cursor: &mut Cursor<'_>) -> Result<Name, BlazeDbError> {
    let at = cursor.at();
    let found = cursor.byte()?;
    if found == SPELT {
        return read_name(cursor);
    }
    let usual = usize::from(found).checked_sub(1).and_then(|index| TABLE.get(index));
    let usual = usual.ok_or_else(|| BlazeDbErrorKind::UnknownKey { found }.at(at))?;
    Name::new(usual).map_err(|error| BlazeDbErrorKind::from(error).at(at))
}

/// Reads the key of a dictionary: a length of 16 bits and a name.
pub(super) fn read_name(cursor: &mut Cursor<'_>) -> Result<Name, BlazeDbError> {
    let at = cursor.at();
    let length = cursor.u16()?.into();
    let text = cursor.text(length)?;
    Name::new(text).map_err(|error| BlazeDbErrorKind::from(error).at(at))
}
