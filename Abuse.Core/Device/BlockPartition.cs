using System.Globalization;

namespace Abuse.Core;

/// <summary>An entry of a device's partition table.</summary>
/// <param name="Number">1 and up, as the kernel numbers it.</param>
/// <param name="Offset">Where it starts, in bytes from the start of the device.</param>
/// <param name="Length">How many bytes.</param>
public sealed record BlockPartition(int Number, long Offset, long Length)
{
    /// <inheritdoc/>
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"partition {Number}: {ByteSize.Format(Length)} at {Offset}");
}
