namespace Abuse.Core.Tests;

/// <summary>What differs from kernel to kernel, as far as a server notices.</summary>
internal sealed record UblkGeneration(string Release, UblkFeatures Features)
{
    /// <summary>Before commands were encoded as ioctl numbers.</summary>
    internal static readonly UblkGeneration First = new("6.0.19", UblkFeatures.None);

    internal static readonly UblkGeneration Debian12 = new("6.12.95+deb12-amd64", (UblkFeatures)0x1fe)
    {
        Always = UblkFeatures.CmdIoctlEncode | UblkFeatures.UringCmdCompInTask,
        ReissuesShortWrites = true,
    };

    internal static readonly UblkGeneration Newest = new("7.3.4+deb13-amd64", (UblkFeatures)0x1fffff)
    {
        Always = UblkFeatures.CmdIoctlEncode | UblkFeatures.UringCmdCompInTask | UblkFeatures.PerIoDaemon
            | UblkFeatures.BufRegOffDaemon | UblkFeatures.SafeStopDev,
        ChecksProcess = true,
        DescriptorSize = UblkAbi.DescriptorSize,
    };

    /// <summary>What any disk has, asked for or not.</summary>
    internal UblkFeatures Always { get; init; }

    /// <summary>Whether what is left of a short write is issued again; newer kernels take it for written.</summary>
    internal bool ReissuesShortWrites { get; init; }

    /// <summary>Whether START_DEV wants the number of the process that opened the character device.</summary>
    internal bool ChecksProcess { get; init; }

    internal ushort DescriptorSize { get; init; }

    public override string ToString() => Release;

    internal bool Knows(UblkCommand command) => command switch
    {
        UblkCommand.GetFeatures => Features != 0,
        UblkCommand.UpdateSize => Features.HasFlag(UblkFeatures.UpdateSize),
        UblkCommand.QuiesceDev => Features.HasFlag(UblkFeatures.Quiesce),
        UblkCommand.TryStopDev => Features.HasFlag(UblkFeatures.SafeStopDev),
        _ => true,
    };
}
