using Abuse.Core.Abi;

namespace Abuse.Core;

/// <summary>The one table that maps a <see cref="BioResult"/> to its errno and to a sentence for people.</summary>
public static class BioResults
{
    /// <summary>Indexed by the result's value.</summary>
    private static readonly (Errno Errno, string Meaning)[] Table =
    [
        (Errno.EINPROGRESS, "the bio is still pending"),
        (Errno.None, "done"),
        (Errno.EIO, "the server failed"),
        (Errno.EIO, "the medium failed in this range"),
        (Errno.EIO, "a server declared the device failed"),
        (Errno.ENOSPC, "no room is left behind the device"),
        (Errno.EOPNOTSUPP, "no server of this device takes the operation"),
        (Errno.EIO, "the device is read-only"),
        (Errno.EIO, "the range ends beyond the end of the device"),
        (Errno.EIO, "max_queue bios were already pending"),
        (Errno.EIO, "the device is not configured, was reset, or is gone"),
        (Errno.ETIMEDOUT, "the server gave up waiting"),
        (Errno.ECANCELED, "the submitter cancelled; whether the work was done is unknown"),
    ];

    /// <summary>Whether <paramref name="result"/> is an outcome that a server may give: defined, and not <see cref="BioResult.Pending"/>.</summary>
    public static bool IsOutcome(this BioResult result) => result != BioResult.Pending && (uint)result < (uint)Table.Length;

    /// <summary>
    /// The errno that a program on the block side sees. As in 2009 every refusal and failure of the device is EIO; only outcomes that
    /// 2009 did not know have one of their own.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="result"/> is not a defined value.</exception>
    public static Errno ToErrno(this BioResult result) => Row(result).Errno;

    /// <summary>A clause for messages, without capital and full stop.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="result"/> is not a defined value.</exception>
    public static string Describe(this BioResult result) => Row(result).Meaning;

    private static (Errno Errno, string Meaning) Row(BioResult result) =>
        (uint)result < (uint)Table.Length
            ? Table[(int)result]
            : throw new ArgumentOutOfRangeException(nameof(result), result, "Not a defined BioResult.");
}
