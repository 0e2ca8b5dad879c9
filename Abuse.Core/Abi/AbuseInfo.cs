using System.Globalization;
using System.Runtime.InteropServices;

namespace Abuse.Core.Abi;

/// <summary><c>abuse_info</c>: 48 bytes, as GET_STATUS returns and SET_STATUS takes it. Little-endian.</summary>
[StructLayout(LayoutKind.Sequential, Size = 48)]
public record struct AbuseInfo
{
    /// <summary>Always 0.</summary>
    public ulong Device;

    /// <summary>Bytes.</summary>
    public ulong Size;

    /// <summary>The device's number: N of <c>abuseN</c>.</summary>
    public uint Number;

    /// <summary>Flags.</summary>
    public AbuseFlags Flags;

    /// <summary>Bytes in a logical block: a power of two from 512 to 4096.</summary>
    public uint BlockSize;

    /// <summary>The most bios that may be pending: 0 to 512.</summary>
    public uint MaxQueue;

    /// <summary>How many bios are pending, delivered or not. Ignored by SET_STATUS.</summary>
    public uint QueueSize;

    /// <summary>How many bios were refused as read-only or queue full. Ignored by SET_STATUS.</summary>
    public uint Errors;

    /// <summary>The most vectors in a bio: 256. Ignored by SET_STATUS.</summary>
    public uint MaxVectors;

    /// <summary>Padding, 0.</summary>
    public uint Padding;

    /// <inheritdoc/>
    public override readonly string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"abuse{Number}: {Size} bytes, {BlockSize} B blocks, {QueueSize}/{MaxQueue} pending, {Errors} errors, flags {Flags}");
}
