namespace Abuse.Core.Tests;

/// <summary>A disk of which bios fail as the test says.</summary>
internal sealed class FailingDisk(BlockTarget disk) : BlockTarget
{
    internal Func<BioHead, bool> Fails { get; set; } = static _ => false;

    public override BlockGeometry Geometry => disk.Geometry;

    public override BioResult Execute(in BioHead bio, BioSpans data) => Fails(bio) ? BioResult.MediaFailure : disk.Execute(bio, data);
}
