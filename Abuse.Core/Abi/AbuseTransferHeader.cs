using System.Globalization;
using System.Runtime.InteropServices;

namespace Abuse.Core.Abi;

/// <summary><c>abuse_xfr_hdr</c>: 40 bytes, a bio as GET_BIO hands it out and PUT_BIO takes it back.</summary>
[StructLayout(LayoutKind.Sequential, Size = 40)]
public record struct AbuseTransferHeader
{
    /// <summary>The bio's id. 0 in PUT_BIO means the bio at the head of the queue.</summary>
    public ulong Id;

    /// <summary>Where the bio starts, in sectors of 512 bytes.</summary>
    public ulong Sector;

    /// <summary>What is asked.</summary>
    public AbuseCommand Command;

    /// <summary>The server's answer. GET_BIO leaves it as it was.</summary>
    public AbuseAnswer Result;

    /// <summary>How many vectors the bio has: 0 to 256.</summary>
    public uint VectorCount;

    /// <summary>Not used: GET_BIO leaves it as it was, PUT_BIO ignores it.</summary>
    public uint VectorOffset;

    /// <summary>The address of an array of <see cref="AbuseVector"/> in the server's memory, or 0.</summary>
    public ulong TransferAddress;

    /// <inheritdoc/>
    public override readonly string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"bio {Id}: {Command}, sector {Sector}, {VectorCount} vectors, result {Result}");
}
