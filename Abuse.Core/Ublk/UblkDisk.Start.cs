namespace Abuse.Core;

/// <content>How a disk comes about: made, or taken over.</content>
public sealed partial class UblkDisk
{
    internal static async Task<UblkDisk> StartAsync(
        UblkKernel kernel, AbuseDevice device, UblkOptions? options, CancellationToken cancellationToken)
    {
        DeviceConfig config = ConfigOf(device);
        (options, UblkControlCall control, BlockGeometry geometry) = Prepare(kernel, device, options);
        UblkFeatures features = await UblkControl.GetFeaturesAsync(control).ConfigureAwait(false);
        UblkPlan plan = UblkPlan.Make(geometry, options, features, HostOf(kernel, device));
        UblkSession session = await UblkSession.StartAsync(control, device, options, plan, cancellationToken).ConfigureAwait(false);
        return new UblkDisk(control, device, options, session, new Shown(config, geometry));
    }

    internal static async Task<UblkDisk> RecoverAsync(
        UblkKernel kernel, int id, AbuseDevice device, UblkOptions? options, CancellationToken cancellationToken)
    {
        DeviceConfig config = ConfigOf(device);
        (options, UblkControlCall control, BlockGeometry geometry) = Prepare(kernel, device, options);
        UblkDevInfo info = await control.RunAsync(UblkCommand.GetDevInfo, id, default(UblkDevInfo)).ConfigureAwait(false);
        var asked = new UblkParams { Length = UblkAbi.ParamsLength };
        UblkParams parameters = await control.RunAsync(UblkCommand.GetParams, id, asked).ConfigureAwait(false);
        UblkPlan plan = UblkPlan.Recover(info, parameters, geometry, options, HostOf(kernel, device), kernel.IsRunning(info.Pid));
        UblkSession session = await UblkSession.RecoverAsync(control, device, options, plan, cancellationToken).ConfigureAwait(false);

        // The kernel doesn't tell whether the flag was changed since the disk was made, so it is set.
        return new UblkDisk(control, device, AsItIs(options, session.Plan), session, new Shown(config, geometry) with { IsReadOnly = !geometry.IsReadOnly });
    }

    /// <summary>Taken first: what changes from then on is seen to be another.</summary>
    private static DeviceConfig ConfigOf(AbuseDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        return device.Queue.Config;
    }

    private static (UblkOptions Options, UblkControlCall Control, BlockGeometry Geometry) Prepare(
        UblkKernel kernel, AbuseDevice device, UblkOptions? options)
    {
        options ??= new UblkOptions();
        ObjectDisposedException.ThrowIf(device.Queue.Config.Gone, device);
        BlockGeometry geometry = device.Geometry ?? throw new InvalidOperationException(
            $"{device} is not configured: a disk needs a size and blocks. Configure the device first.");
        options.Validate(geometry, kernel.PageSize);
        return (options, new UblkControlCall(kernel, options.ControlTimeout, options.TimeProvider), geometry);
    }

    /// <summary>Where a disk that was taken over has to be made anew, it is made as it was.</summary>
    private static UblkOptions AsItIs(UblkOptions options, UblkPlan plan) => options with
    {
        Queues = plan.Queues,
        QueueDepth = plan.QueueDepth,
        MaxRequestSize = plan.MaxRequestSize,
        Buffers = plan.Buffers,
        Recovery = plan.Recovery,
        ScanPartitions = plan.ScanPartitions,
        PhysicalBlockSize = plan.PhysicalBlockSize > plan.Geometry.BlockSize ? plan.PhysicalBlockSize : null,
    };

    private static UblkHost HostOf(UblkKernel kernel, AbuseDevice device) => new()
    {
        Processors = kernel.Processors,
        PageSize = kernel.PageSize,
        KernelRelease = kernel.Release,
        TargetTakesZeroCopy = device.Queue.AttachedTarget is FileTarget,
        TargetIdentity = device.Queue.AttachedTarget?.Identity,
    };
}
