namespace Abuse.Core.Tests;

/// <summary>A bio of the reference.</summary>
internal sealed class ReferenceBio
{
    internal required BioOp Op { get; init; }

    internal required long Offset { get; init; }

    internal required long Length { get; init; }

    internal required bool Fua { get; init; }

    internal required bool IsFrontEnd { get; init; }

    /// <summary>The lengths of the vectors.</summary>
    internal required int[] Vectors { get; init; }

    /// <summary>What the submitter's memory holds, in the reference's opinion.</summary>
    internal required byte[] Memory { get; init; }

    internal BioResult Result { get; set; }

    /// <summary>The real device's id, once it was seen.</summary>
    internal ulong Id { get; set; }

    internal BlockFeatures Needs => (Op, Fua) switch
    {
        (BioOp.Flush, _) => BlockFeatures.Flush,
        (BioOp.Discard, _) => BlockFeatures.Discard,
        (BioOp.WriteZeroes, false) => BlockFeatures.WriteZeroes,
        (BioOp.WriteZeroes, true) => BlockFeatures.WriteZeroes | BlockFeatures.Fua,
        (BioOp.Write, true) => BlockFeatures.Fua,
        _ => BlockFeatures.None,
    };

    internal uint Command => Op switch { BioOp.Read => 0, BioOp.Flush => 2, _ => 1 };
}

/// <summary>A channel of the reference: what it has yet to deliver.</summary>
internal sealed class ReferenceChannel(BlockFeatures takes)
{
    internal BlockFeatures Takes { get; } = takes;

    internal List<ReferenceBio> ToDeliver { get; } = [];

    internal bool TakesBio(ReferenceBio bio) => (bio.Needs & ~Takes) == 0;
}
